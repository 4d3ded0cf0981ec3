// The border between C and C++: the only place where an exception becomes a result code.
#ifndef SIGNCCL_API_GUARD_H_
#define SIGNCCL_API_GUARD_H_

#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "signccl/signccl.h"

namespace signccl {

/// Notes an error for signcclGetLastError(), for the calling thread and, if `comm` is one, for the communicator. Logs
/// it.
signcclResult_t noteError(signcclComm_t comm, signcclResult_t code, const char* message) noexcept;

/// Runs the body of one C function.
template <typename Body>
signcclResult_t guard(signcclComm_t comm, Body&& body) noexcept {
  try {
    std::forward<Body>(body)();
    return signcclSuccess;
  } catch (const Error& error) {
    return noteError(comm, error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return noteError(comm, signcclSystemError, "out of memory");
  } catch (const std::system_error& error) {
    return noteError(comm, signcclSystemError, error.what());
  } catch (const std::exception& error) {
    return noteError(comm, signcclInternalError, error.what());
  }
}

}  // namespace signccl

#endif  // SIGNCCL_API_GUARD_H_
