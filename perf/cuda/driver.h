// SPDX-License-Identifier: Apache-2.0
// The CUDA driver for programs that measure on GPUs: loaded by the program itself, as the CUDA runtime does for others.
#ifndef SIGNCCL_PERF_CUDA_DRIVER_H_
#define SIGNCCL_PERF_CUDA_DRIVER_H_

#include <cstddef>
#include <stdexcept>

#include "device/device.h"

namespace signccl::perf {

/// There is no driver that can be used; what() says what is missing.
class NoCuda : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Loads the driver into this process for good, and initialises it; later calls do nothing. Any thread. Throws NoCuda.
/// A process that forks does so before.
void loadCuda();

/// Devices that this process sees (CUDA_VISIBLE_DEVICES). Throws NoCuda.
int countGpus();

/// A function of the driver that the library does not use, by its name there. Throws NoCuda.
void* driverFunction(const char* symbol);

/// Throws NoCuda, with the name of the function that was called, unless the result is success.
void requireSuccess(CudaResult result, const char* call);

/// Memory of the device that nobody has allocated. Throws NoCuda, and what ContextScope throws.
std::size_t freeBytes(const Device& device);

/// Milliseconds between two events of a device, which both have passed. Throws NoCuda.
float elapsedMs(CudaEvent start, CudaEvent end);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_CUDA_DRIVER_H_
