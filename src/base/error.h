// SPDX-License-Identifier: Apache-2.0
// The one exception type of the library. Thrown where a fault is found, caught at the C border and at thread entry.
#ifndef SIGNCCL_BASE_ERROR_H_
#define SIGNCCL_BASE_ERROR_H_

#include <stdexcept>
#include <string>

#include "signccl/signccl.h"

namespace signccl {

class Error : public std::runtime_error {
 public:
  Error(signcclResult_t code, const std::string& message) : std::runtime_error(message), code_(code) {}

  [[nodiscard]] signcclResult_t code() const noexcept { return code_; }

 private:
  signcclResult_t code_;
};

/// Throws signcclInvalidArgument with `message` unless `condition` holds.
inline void require(bool condition, const char* message) {
  if (!condition) throw Error(signcclInvalidArgument, message);
}

/// Reports a broken invariant, a bug of ours: throws signcclInternalError.
[[noreturn]] void throwInternal(const char* what, const char* file, int line);

}  // namespace signccl

/// Checks an invariant in every build. Not for input and not for the hot path.
#define SIGNCCL_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::signccl::throwInternal(#condition, __FILE__, __LINE__))

#endif  // SIGNCCL_BASE_ERROR_H_
