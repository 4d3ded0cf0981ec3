// SPDX-License-Identifier: Apache-2.0
// How the verifier says what is wrong: steps in words, and one exception type that never leaves it.
#ifndef SIGNCCL_SCHEDULE_VERIFY_OBJECTION_H_
#define SIGNCCL_SCHEDULE_VERIFY_OBJECTION_H_

#include <cstddef>
#include <stdexcept>
#include <string>

#include "schedule/schedule.h"

namespace signccl {

/// Thrown inside the verifier, caught by verify().
class Objection : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A step in words: "rank 2 step 7 (receive votes of 3 ranks for chunk 4 from rank 1 into inbox 0)".
std::string describe(const Schedule& schedule, std::size_t step);

/// Throws an Objection: the step in words, then `what`.
[[noreturn]] void objectTo(const Schedule& schedule, std::size_t step, const std::string& what);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_VERIFY_OBJECTION_H_
