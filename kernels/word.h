// SPDX-License-Identifier: Apache-2.0
// The word: what kernels work on and what schedules count in. A leaf that any layer may include.
#ifndef SIGNCCL_KERNELS_WORD_H_
#define SIGNCCL_KERNELS_WORD_H_

#include <stddef.h>
#include <stdint.h>

/// Before functions that run in every instruction set, and on a GPU.
#if defined(__CUDACC__)
#define SIGNCCL_WORD_OP __host__ __device__ __forceinline__
#else
#define SIGNCCL_WORD_OP [[gnu::always_inline]] inline
#endif

namespace signccl {

/// 64 elements, one bit each; the unit of bit-sliced arithmetic and of the wire.
using Word = uint64_t;
inline constexpr size_t kWordBits = 64;

/// Words of a plane of `count` elements.
SIGNCCL_WORD_OP constexpr size_t wordsFor(size_t count) { return count / kWordBits + (count % kWordBits == 0 ? 0 : 1); }

/// Planes that hold numbers from 0 to `max_value`: ceil(log2(max_value + 1)).
SIGNCCL_WORD_OP constexpr int planesFor(uint64_t max_value) {
  int planes = 0;
  for (; max_value != 0; max_value >>= 1) ++planes;
  return planes;
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_WORD_H_
