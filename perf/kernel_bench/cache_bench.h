// SPDX-License-Identifier: Apache-2.0
#ifndef SIGNCCL_PERF_KERNEL_BENCH_CACHE_BENCH_H_
#define SIGNCCL_PERF_KERNEL_BENCH_CACHE_BENCH_H_

#include <vector>

#include "kernels/kernels.h"

namespace signccl {

/// Registers every kernel of every instance on buffers that stay in the cache.
void addCacheBenchmarks(const std::vector<const Kernels*>& instances);

}  // namespace signccl

#endif  // SIGNCCL_PERF_KERNEL_BENCH_CACHE_BENCH_H_
