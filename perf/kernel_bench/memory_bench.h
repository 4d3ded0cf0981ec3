// SPDX-License-Identifier: Apache-2.0
#ifndef SIGNCCL_PERF_KERNEL_BENCH_MEMORY_BENCH_H_
#define SIGNCCL_PERF_KERNEL_BENCH_MEMORY_BENCH_H_

#include <vector>

#include "kernels/kernels.h"

namespace signccl {

/// Registers the benchmarks of memory bandwidth and of the kernels that are bound by it.
void addMemoryBenchmarks(const std::vector<const Kernels*>& instances);

}  // namespace signccl

#endif  // SIGNCCL_PERF_KERNEL_BENCH_MEMORY_BENCH_H_
