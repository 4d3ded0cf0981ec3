// SPDX-License-Identifier: Apache-2.0
// Numbers that were chosen by measuring (perf/kernel_bench) and that change no result.
#ifndef SIGNCCL_KERNELS_TUNING_H_
#define SIGNCCL_KERNELS_TUNING_H_

#include <stddef.h>

namespace signccl {

/// Inputs that `count` adds in one pass with all counters in registers; 16 fills the registers of AVX2.
inline constexpr int kCountBlock = 16;

/// Words of each input that `count` works on before it goes to the next block of inputs; the counters of a tile,
/// 16 planes at most, stay in the first-level cache.
inline constexpr size_t kCountTileWords = 128;

/// How far ahead of its reads `encode` prefetches. Hardware prefetchers stop at the end of a page; this reaches over
/// it.
inline constexpr size_t kEncodePrefetchBytes = 4096;

/// How far ahead of its reads `decode*` prefetches sign words: a miss would hold up the stores, which
/// need all of the memory's time.
inline constexpr size_t kDecodePrefetchWords = 128;

/// How far ahead of its reads a Lion step prefetches parameters. Gradients and momenta are not: prefetching two streams
/// by instructions was slower, at distances from 2048 to 8192, than what the hardware does by itself.
inline constexpr size_t kLionPrefetchBytes = 4096;

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_TUNING_H_
