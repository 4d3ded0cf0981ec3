// SPDX-License-Identifier: Apache-2.0
// What becomes of an NCCL call that fails: an Error with the name of the call, what it was to do, and NCCL's own words.
#ifndef SIGNCCL_NCCL_NCCL_ERROR_H_
#define SIGNCCL_NCCL_NCCL_ERROR_H_

#include <string>

#include "nccl/nccl_library.h"
#include "signccl/signccl.h"

namespace signccl {

/// The code of SignCCL for an error of NCCL.
signcclResult_t codeOf(NcclResult result);

/// Throws "`call`: ...", with the text of the communicator's last error; `comm` may be null.
[[noreturn]] void throwNcclError(const NcclLibrary& nccl, NcclResult result, const std::string& call, NcclHandle comm);

/// Throws as above unless `result` is success or "in progress", which calls of communicators without blocking give.
inline void checkNccl(const NcclLibrary& nccl, NcclResult result, const char* call, NcclHandle comm) {
  if (result != NcclResult::kSuccess && result != NcclResult::kInProgress) throwNcclError(nccl, result, call, comm);
}

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_ERROR_H_
