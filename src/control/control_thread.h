// SPDX-License-Identifier: Apache-2.0
// The thread of a process that serves its control sockets.
#ifndef SIGNCCL_CONTROL_CONTROL_THREAD_H_
#define SIGNCCL_CONTROL_CONTROL_THREAD_H_

#include <asio/io_context.hpp>

namespace signccl {

/// The context that the thread runs, started at the first call. It runs until the process ends or the library
/// is unloaded: whoever is done closes its sockets. What is posted later than that never runs. A child after fork()
/// gets a thread of its own. Throws std::system_error if there can be no thread.
asio::io_context& controlContext();

/// False once the process ends and the thread has been stopped: nothing can be sent any more. Any thread.
bool controlThreadHasEnded() noexcept;

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_CONTROL_THREAD_H_
