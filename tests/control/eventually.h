// SPDX-License-Identifier: Apache-2.0
// Waits of tests for what other threads do, with a deadline so generous that only what never happens misses it.
#ifndef SIGNCCL_TESTS_CONTROL_EVENTUALLY_H_
#define SIGNCCL_TESTS_CONTROL_EVENTUALLY_H_

#include <chrono>
#include <thread>

#include "base/failure.h"

namespace signccl {

inline constexpr std::chrono::minutes kPatience{2};

inline Deadline in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

/// Whether it becomes true that `holds()`.
template <typename Holds>
bool eventually(const Holds& holds) {
  const Deadline deadline = in(kPatience);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_CONTROL_EVENTUALLY_H_
