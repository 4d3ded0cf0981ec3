// SPDX-License-Identifier: Apache-2.0
#ifndef SIGNCCL_PERF_KERNEL_BENCH_GPU_BENCH_H_
#define SIGNCCL_PERF_KERNEL_BENCH_GPU_BENCH_H_

#include <cstddef>

namespace signccl {

struct GpuBenchOptions {
  std::size_t elements = std::size_t{1} << 28;  ///< of a launch
  int rounds = 30;                              ///< of each benchmark
};

/// Takes --gpu_elements=N and --gpu_rounds=N out of the command line. Throws std::runtime_error if a value is no number
/// that fits.
GpuBenchOptions takeGpuBenchOptions(int& argc, char** argv);

/// Registers the kernels on device 0, if there is a driver with a device and the filter of the benchmarks, which are
/// initialised, wants one of them; else says on standard error why not.
void addGpuBenchmarks(const GpuBenchOptions& options);

/// Gives the device back; the registered benchmarks are not run any more.
void endGpuBenchmarks();

}  // namespace signccl

#endif  // SIGNCCL_PERF_KERNEL_BENCH_GPU_BENCH_H_
