// SPDX-License-Identifier: Apache-2.0
// What becomes of a CUDA call that fails: an Error with the name of the call, what it was to do, and CUDA's own words.
#ifndef SIGNCCL_DEVICE_DRIVER_ERROR_H_
#define SIGNCCL_DEVICE_DRIVER_ERROR_H_

#include <sstream>
#include <string>

#include "device/driver.h"

namespace signccl {

/// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)".
std::string cudaResultText(const CudaDriver& driver, CudaResult result);

/// Throws signcclUnhandledCudaError: "`call` `detail`: CUDA_ERROR_... (...)".
[[noreturn]] void throwCudaError(const CudaDriver& driver, CudaResult result, const char* call,
                                 const std::string& detail);

/// Throws as above unless `result` is success. `detail`, one part after the other, says what the call was to do, as in
/// "of 4096 bytes on device 0", and is formatted only then.
template <typename... Detail>
inline void checkCuda(const CudaDriver& driver, CudaResult result, const char* call, const Detail&... detail) {
  if (result == CudaResult::kSuccess) return;
  std::ostringstream text;
  if constexpr (sizeof...(detail) > 0) (text << ... << detail);
  throwCudaError(driver, result, call, text.str());
}

/// Throws signcclInvalidUsage: this process was forked from one that had used CUDA, which does not work in it.
[[noreturn]] void throwForkedCudaError();

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_DRIVER_ERROR_H_
