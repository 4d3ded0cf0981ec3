// SPDX-License-Identifier: Apache-2.0
// Plain loops over memory, as the peers of kernels: how fast one core of this machine reads, writes and copies at best.
#ifndef SIGNCCL_PERF_KERNEL_BENCH_BANDWIDTH_H_
#define SIGNCCL_PERF_KERNEL_BENCH_BANDWIDTH_H_

#include <cstddef>
#include <cstdint>

namespace signccl {

/// All buffers are aligned to 64 bytes, sizes are multiples of 256 bytes. The widest vectors of the machine are used.

/// Reads every byte; the result depends on all of them. Prefetches `prefetch_bytes` ahead unless that is 0.
std::uint64_t readAll(const std::byte* from, std::size_t size, std::size_t prefetch_bytes);

/// Reads every byte of both ranges, and writes those at `at` in place. from_size is `size`, half of it or 0. Prefetches
/// as readAll() does.
void updateAll(const std::byte* from, std::size_t from_size, std::byte* at, std::size_t size,
               std::size_t prefetch_bytes);

/// Writes every byte, past the cache where the machine can.
void streamAll(std::byte* to, std::size_t size);

/// Copies by ordinary reads and streamAll's kind of writes.
void copyAll(const std::byte* from, std::byte* to, std::size_t size);

}  // namespace signccl

#endif  // SIGNCCL_PERF_KERNEL_BENCH_BANDWIDTH_H_
