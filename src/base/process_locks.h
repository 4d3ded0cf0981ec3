// SPDX-License-Identifier: Apache-2.0
// Locks of what a whole process shares, which forked children use too.
//
// A child has a copy of every mutex, and only the thread that forked: a mutex that another thread held at that moment
// is never released there. The mutexes here are therefore all held during a fork, so that the child finds them free and
// what they guard whole: a fork copies page after page while other threads go on, so that without a lock the child may
// see a write and miss an earlier one. The state of a single communicator needs none of this, since a child may not use
// its parent's.
#ifndef SIGNCCL_BASE_PROCESS_LOCKS_H_
#define SIGNCCL_BASE_PROCESS_LOCKS_H_

#include <cstdint>
#include <mutex>

namespace signccl {

/// What a mutex guards, in the order in which they are taken: a thread that holds one takes only later ones.
enum class ProcessLock : std::uint8_t {
  kControlThread,
  kLoopbackGroups,
  kTraceWriters,
  kProcessIdentity,
  kUcxUses,
  kOwnSockets,
  kLog
};

/// The mutex of the process for that. Usable from static initialisation to the end of the process.
std::mutex& processMutex(ProcessLock lock) noexcept;

}  // namespace signccl

#endif  // SIGNCCL_BASE_PROCESS_LOCKS_H_
