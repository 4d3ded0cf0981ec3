// SPDX-License-Identifier: Apache-2.0
// The clock of traces and deadlines.
#ifndef SIGNCCL_BASE_CLOCK_H_
#define SIGNCCL_BASE_CLOCK_H_

#include <chrono>
#include <cstdint>

namespace signccl {

/// Nanoseconds of a clock that never goes back and that all processes of a machine share.
inline std::int64_t nowNs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

}  // namespace signccl

#endif  // SIGNCCL_BASE_CLOCK_H_
