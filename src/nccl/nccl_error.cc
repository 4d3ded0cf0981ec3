// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_error.h"

#include "base/error.h"

namespace signccl {

signcclResult_t codeOf(NcclResult result) {
  switch (result) {
    case NcclResult::kSuccess:
    case NcclResult::kInProgress:
      return signcclSuccess;
    case NcclResult::kUnhandledCudaError:
      return signcclUnhandledCudaError;
    case NcclResult::kSystemError:
    case NcclResult::kInternalError:
      return signcclSystemError;  // signcclInternalError is a fault of this library
    case NcclResult::kInvalidArgument:
    case NcclResult::kInvalidUsage:
      return signcclInvalidUsage;
    case NcclResult::kRemoteError:
      return signcclRemoteError;
  }
  return signcclSystemError;  // of a newer version
}

void throwNcclError(const NcclLibrary& nccl, NcclResult result, const std::string& call, NcclHandle comm) {
  std::string text = call + ": NCCL says '" + nccl.ncclGetErrorString(result) + "'";
  const char* const detail = nccl.ncclGetLastError(comm);
  if (detail != nullptr && *detail != '\0') text += std::string(" (") + detail + ")";
  throw Error(codeOf(result), text + "; NCCL_DEBUG=WARN makes NCCL say more");
}

}  // namespace signccl
