// SPDX-License-Identifier: Apache-2.0
#include "base/process_locks.h"

#include <array>
#include <cstddef>
#include <pthread.h>

namespace signccl {
namespace {

constexpr std::size_t kLocks = static_cast<std::size_t>(ProcessLock::kLog) + 1;

constinit std::array<std::mutex, kLocks> mutexes;

void lockAll() {
  for (std::mutex& mutex : mutexes) mutex.lock();
}

void unlockAll() {
  for (std::mutex& mutex : mutexes) mutex.unlock();
}

/// Zero if the handlers are set. When there is no memory for them, the library works, but forks are unprotected.
[[maybe_unused]] const int handlers_set = pthread_atfork(lockAll, unlockAll, unlockAll);

}  // namespace

std::mutex& processMutex(ProcessLock lock) noexcept { return mutexes[static_cast<std::size_t>(lock)]; }

}  // namespace signccl
