// Result codes in words, and the last error.
#include <mutex>
#include <string>

#include "api/guard.h"
#include "api/handles.h"
#include "base/log.h"

namespace signccl {
namespace {

thread_local std::string last_error_of_thread;
thread_local std::string last_error_shown;

}  // namespace

signcclResult_t noteError(signcclComm_t comm, signcclResult_t code, const char* message) noexcept {
  try {
    last_error_of_thread = message;
    Rank rank = kNoRank;
    if (const auto found = commHandles().find(comm)) {
      rank = (*found)->comm->rank();
      const std::lock_guard lock((*found)->error_mutex);
      (*found)->last_error = message;
    }
    logMessage(LogLevel::kWarn, Subsystem::kCall, rank, message);
  } catch (const std::exception&) {
    // Out of memory while an error is noted: the code must do. The message of an earlier error would mislead.
    last_error_of_thread.clear();
  }
  return code;
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
  const auto found = comm == nullptr ? std::nullopt : commHandles().find(comm);
  if (!found) return last_error_of_thread.c_str();
  const std::lock_guard lock((*found)->error_mutex);
  last_error_shown = (*found)->last_error;
  return last_error_shown.c_str();
}

signcclResult_t signcclGetVersion(int* version) {
  return guard(nullptr, [&] {
    require(version != nullptr, "version is NULL");
    *version = SIGNCCL_VERSION_CODE;
  });
}
