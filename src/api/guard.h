// SPDX-License-Identifier: Apache-2.0
// The border between C and C++: the only place where an exception becomes a result code.
#ifndef SIGNCCL_API_GUARD_H_
#define SIGNCCL_API_GUARD_H_

#include <exception>
#include <utility>

#include "api/group_scope.h"
#include "signccl/signccl.h"

namespace signccl {

/// Notes an error for signcclGetLastError(), for the calling thread and, if `comm` is one, for the communicator; logs
/// it, and gives its code.
signcclResult_t noteError(signcclComm_t comm, const std::exception_ptr& error) noexcept;

/// Runs the body of one C function. `comm`: the communicator that its error concerns, or NULL.
template <typename Body>
signcclResult_t guard(signcclComm_t comm, Body&& body) noexcept {
  try {
    std::forward<Body>(body)();
    return signcclSuccess;
  } catch (...) {
    return noteError(comm, std::current_exception());
  }
}

/// guard() for a function that a group may hold: where it fails in an open group, the group's end returns its error.
template <typename Body>
signcclResult_t guardGroupCall(signcclComm_t comm, Body&& body) noexcept {
  return guard(comm, [&] {
    try {
      std::forward<Body>(body)();
    } catch (...) {
      GroupScope::current().noteFailedCall(std::current_exception());
      throw;
    }
  });
}

}  // namespace signccl

#endif  // SIGNCCL_API_GUARD_H_
