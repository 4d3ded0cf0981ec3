// SPDX-License-Identifier: Apache-2.0
// How a call fails that SignCCL has taken: the code that NCCL's user gets, and the words.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_FAILURE_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_FAILURE_H_

#include <stdexcept>
#include <string>

#include "nccl/back/nccl_abi.h"
#include "signccl/signccl.h"

namespace signccl::nccl_preload {

class Failure : public std::runtime_error {
 public:
  Failure(Result result, const std::string& text) : std::runtime_error(text), result_(result) {}

  [[nodiscard]] Result result() const noexcept { return result_; }

 private:
  Result result_;
};

/// Codes are NCCL's, but for the timeout, which NCCL before 2.30 does not know.
inline Result resultOf(signcclResult_t result) {
  return result == signcclTimeout ? Result::kRemoteError : static_cast<Result>(result);
}

/// Throws the error of a call of SignCCL, if there is one.
inline void expectSigncclSuccess(signcclResult_t result, const char* doing) {
  if (result == signcclSuccess) return;
  throw Failure(resultOf(result), std::string(doing) + ": " + signcclGetLastError(nullptr));
}

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_FAILURE_H_
