// SPDX-License-Identifier: Apache-2.0
// libsignccl_cuda.so: the compiled kernels, in a file of its own that is loaded when a device is first used.
#ifndef SIGNCCL_DEVICE_KERNEL_IMAGE_H_
#define SIGNCCL_DEVICE_KERNEL_IMAGE_H_

#include <cstddef>
#include <string>

namespace signccl {

inline constexpr const char* kKernelImageFile = "libsignccl_cuda.so";

/// A loaded libsignccl_cuda.so; it is never unloaded.
struct KernelImage {
  const void* data = nullptr;
  std::size_t bytes = 0;
  std::string file;
};

/// Loads the kernels: from `wanted`, the value of SIGNCCL_CUDA_LIBRARY (a path, or the folder that holds the file), or
/// if it is empty from the folder in which this code lies, that of libsignccl.so. Throws signcclInvalidUsage if
/// `wanted` cannot be loaded, and signcclSystemError, with what to do, if there is no such file or if it is of another
/// version. Any thread.
KernelImage loadKernelImage(const std::string& wanted);

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_KERNEL_IMAGE_H_
