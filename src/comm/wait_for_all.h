// SPDX-License-Identifier: Apache-2.0
// Waits for operations of several communicators that one thread drives.
#ifndef SIGNCCL_COMM_WAIT_FOR_ALL_H_
#define SIGNCCL_COMM_WAIT_FOR_ALL_H_

#include <exception>
#include <span>

#include "comm/communicator.h"

namespace signccl {

/// One operation to wait for; see Communicator::wait().
struct Wait {
  Communicator* comm = nullptr;
  Operation* operation = nullptr;
  std::exception_ptr error;  ///< receives what wait() throws, null if it went well
  Notes notes;               ///< receives what wait() gives
};

/// Waits until all operations are done, and drops one hold of each. The communicators may be ranks of one group that
/// wait for each other, so each is moved on in turn.
void waitForAll(std::span<Wait> waits) noexcept;

}  // namespace signccl

#endif  // SIGNCCL_COMM_WAIT_FOR_ALL_H_
