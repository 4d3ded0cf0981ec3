// SPDX-License-Identifier: Apache-2.0
// The kernels of a GPU for programs that launch them themselves: benchmarks, and tests of kernels.
#ifndef SIGNCCL_PERF_CUDA_KERNEL_IMAGE_H_
#define SIGNCCL_PERF_CUDA_KERNEL_IMAGE_H_

#include <cstdlib>

#include "device/kernel_image.h"

namespace signccl::perf {

/// Those of SIGNCCL_CUDA_LIBRARY if that is set, else those beside this code; loaded once. Throws what
/// loadKernelImage() throws.
inline const KernelImage& kernelImage() {
  static const KernelImage loaded = [] {
    const char* const wanted = std::getenv("SIGNCCL_CUDA_LIBRARY");  // NOLINT(concurrency-mt-unsafe)
    return loadKernelImage(wanted == nullptr ? "" : wanted);
  }();
  return loaded;
}

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_CUDA_KERNEL_IMAGE_H_
