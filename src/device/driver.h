// SPDX-License-Identifier: Apache-2.0
// The CUDA driver, which SignCCL is not linked with: taken from the process if somebody else has loaded it.
#ifndef SIGNCCL_DEVICE_DRIVER_H_
#define SIGNCCL_DEVICE_DRIVER_H_

#include <string>

#include "device/driver_functions.h"

namespace signccl {

/// The oldest driver that has all functions: that of CUDA 12.0.
inline constexpr int kOldestCudaDriver = 12000;

/// A loaded driver; it is never unloaded.
struct CudaDriver : CudaFunctions {
  std::string file;               ///< libcuda.so.1, as it was loaded
  int version = 0;                ///< of the newest CUDA that it serves: 1000 * major + 10 * minor
  const char* missing = nullptr;  ///< the symbol of a function that it lacks; null: it has all

  /// Throws signcclSystemError, with the symbol that is missing and the version, unless the driver has all functions.
  void requireAll() const;
};

/// The driver of this process, or null while it has none: whoever has device memory or a stream has loaded it. Looks
/// again only when a library was loaded since the last call; that takes some ns, as long as a driver is once found.
/// Any thread. Throws std::bad_alloc.
const CudaDriver* loadedCudaDriver();

/// False if the process surely has no device memory: it has no driver, or had none at the last tick of the kernel's
/// clock, some ms ago at most. To load a driver, make a context and get memory from it takes longer than a tick. For
/// calls that are so short that the time of loadedCudaDriver() is a part of theirs. Any thread. Throws std::bad_alloc.
bool mayHaveDeviceMemory();

/// The driver of this process, with all functions. Throws signcclInvalidArgument if there is none, naming `what` as the
/// thing that needs one, and signcclSystemError if it is too old.
const CudaDriver& requiredCudaDriver(const char* what);

/// "12.4" for 12040.
std::string cudaVersionText(int version);

/// The CUDA driver that has these functions, as loadedCudaDriver() makes it: for tests. `library` is of dlopen().
CudaDriver cudaDriverOf(void* library);

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_DRIVER_H_
