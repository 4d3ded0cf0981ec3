// The error that ends a group of ranks, and the deadline of a wait.
#ifndef SIGNCCL_BASE_FAILURE_H_
#define SIGNCCL_BASE_FAILURE_H_

#include <chrono>
#include <exception>
#include <string>
#include <vector>

#include "base/types.h"
#include "signccl/signccl.h"

namespace signccl {

using Deadline = std::chrono::steady_clock::time_point;

struct Failure {
  signcclResult_t code = signcclSuccess;
  std::string message;
};

/// What an exception that was caught says. Where memory is too short for its text, the text is "out of memory".
Failure failureOf(const std::exception_ptr& exception) noexcept;

/// "2", "2 and 3", "2, 3, 5 and 12 more"
std::string rankList(const std::vector<Rank>& ranks);

}  // namespace signccl

#endif  // SIGNCCL_BASE_FAILURE_H_
