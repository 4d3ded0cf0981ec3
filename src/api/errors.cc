// SPDX-License-Identifier: Apache-2.0
// Result codes in words, and the last error.
#include <string>

#include "api/guard.h"
#include "api/handles.h"
#include "base/error.h"
#include "base/failure.h"
#include "base/log.h"
#include "base/per_thread.h"

namespace signccl {
namespace {

struct ErrorTexts {
  std::string last;   ///< of a call of this thread
  std::string shown;  ///< of a communicator, for as long as this thread may read it
};

ErrorTexts& errorTexts() { return PerThread<ErrorTexts>::get(); }

}  // namespace

signcclResult_t noteError(signcclComm_t comm, const std::exception_ptr& error) noexcept {
  const Failure failure = failureOf(error);
  try {
    errorTexts().last = failure.message;
    Rank rank = kNoRank;
    if (const auto found = commHandles().find(comm)) {
      rank = (*found)->comm->rank();
      (*found)->noteError(failure);
    }
    logMessage(LogLevel::kWarn, Subsystem::kCall, rank, failure.message);
  } catch (const std::exception&) {
    // Out of memory while an error is noted: the code must do. The message of an earlier error would mislead.
    if (ErrorTexts* const texts = PerThread<ErrorTexts>::find()) texts->last.clear();
  }
  return failure.code;
}

}  // namespace signccl

using namespace signccl;

const char* signcclGetErrorString(signcclResult_t result) {
  switch (result) {
    case signcclSuccess:
      return "no error";
    case signcclUnhandledCudaError:
      return "a CUDA call failed (signcclGetLastError() tells which)";
    case signcclSystemError:
      return "a system call failed (signcclGetLastError() tells which)";
    case signcclInternalError:
      return "internal error of SignCCL; please report it with the output of SIGNCCL_DEBUG=INFO";
    case signcclInvalidArgument:
      return "invalid argument (signcclGetLastError() tells which)";
    case signcclInvalidUsage:
      return "invalid usage (signcclGetLastError() tells why)";
    case signcclRemoteError:
      return "another rank failed, aborted or left (signcclGetLastError() tells which)";
    case signcclInProgress:
      return "operation in progress";
    case signcclTimeout:
      return "a deadline passed (signcclGetLastError() tells which ranks did not come)";
    case signcclNumResults:
      break;
  }
  return "unknown result code";
}

const char* signcclGetLastError(signcclComm_t comm) {
  try {
    const auto found = comm == nullptr ? std::nullopt : commHandles().find(comm);
    if (!found) return errorTexts().last.c_str();
    return (errorTexts().shown = (*found)->lastError()).c_str();
  } catch (const std::exception&) {
    return "out of memory";
  }
}

signcclResult_t signcclGetVersion(int* version) {
  return guard(nullptr, [&] {
    require(version != nullptr, "version is NULL");
    *version = SIGNCCL_VERSION_CODE;
  });
}
