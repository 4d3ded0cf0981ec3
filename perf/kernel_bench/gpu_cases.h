// SPDX-License-Identifier: Apache-2.0
// The launches that are measured on a GPU: every kernel with the buffers that it needs, and the bytes that it moves.
#ifndef SIGNCCL_PERF_KERNEL_BENCH_GPU_CASES_H_
#define SIGNCCL_PERF_KERNEL_BENCH_GPU_CASES_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "kernel_bench/gpu.h"

namespace signccl {

/// Enqueues the kernel once.
using GpuLaunch = std::function<void(const Gpu&)>;

struct GpuCase {
  std::string name;
  std::size_t set_bytes = 0;                                         ///< of memory that a launch needs
  std::size_t moved_bytes = 0;                                       ///< that a launch reads and writes
  std::function<GpuLaunch(Gpu& gpu, CudaDevicePointer at)> prepare;  ///< a launch whose buffers begin there
};

/// All cases, on `elements` elements each; of counts, as many votes per input.
std::vector<GpuCase> gpuCases(std::size_t elements);

}  // namespace signccl

#endif  // SIGNCCL_PERF_KERNEL_BENCH_GPU_CASES_H_
