// SPDX-License-Identifier: Apache-2.0
#include "kernel_bench/bandwidth.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace signccl {
namespace {

constexpr std::size_t kStep = 256;

/// One cache line; as many registers as the instruction set of the function needs for it.
using Line = std::uint64_t __attribute__((vector_size(64), may_alias));

[[gnu::always_inline]] inline void readStep(const std::byte* from, std::size_t prefetch_bytes, Line* sums) {
  if (prefetch_bytes != 0) {
    const auto ahead = reinterpret_cast<std::uintptr_t>(from) + prefetch_bytes;
    for (std::size_t i = 0; i < kStep; i += 64) __builtin_prefetch(reinterpret_cast<const void*>(ahead + i));
  }
  const auto* lines = reinterpret_cast<const Line*>(from);
  sums[0] |= lines[0];
  sums[1] |= lines[1];
  sums[2] |= lines[2];
  sums[3] |= lines[3];
}

[[gnu::always_inline]] inline std::uint64_t readLines(const std::byte* from, std::size_t size,
                                                      std::size_t prefetch_bytes) {
  Line sums[4] = {};
  for (std::size_t i = 0; i < size; i += kStep) readStep(from + i, prefetch_bytes, sums);
  const Line all = sums[0] | sums[1] | sums[2] | sums[3];
  return all[0] | all[1] | all[2] | all[3] | all[4] | all[5] | all[6] | all[7];
}

/// kFromStep bytes of the source for kStep of the target: each target line is changed by a line of the source, if there
/// is one. Ordinary floats stay ordinary floats.
template <std::size_t kFromStep>
[[gnu::always_inline]] inline void updateLines(const std::byte* from, std::byte* at, std::size_t size,
                                               std::size_t prefetch_bytes) {
  const Line change = {1, 1, 1, 1, 1, 1, 1, 1};
  for (std::size_t i = 0; i < size; i += kStep) {
    const std::byte* source = from + i / kStep * kFromStep;
    auto* target = reinterpret_cast<Line*>(at + i);
    if (prefetch_bytes != 0) {
      const auto source_ahead = reinterpret_cast<std::uintptr_t>(source) + prefetch_bytes;
      const auto target_ahead = reinterpret_cast<std::uintptr_t>(target) + prefetch_bytes;
      for (std::size_t j = 0; j < kStep; j += 64) {
        if (j < kFromStep) __builtin_prefetch(reinterpret_cast<const void*>(source_ahead + j));
        __builtin_prefetch(reinterpret_cast<const void*>(target_ahead + j));
      }
    }
    const auto* lines = reinterpret_cast<const Line*>(source);
    for (std::size_t j = 0; j < kStep / 64; ++j) {
      if constexpr (kFromStep == 0) {
        target[j] ^= change;
      } else {
        target[j] |= lines[j % (kFromStep / 64)];
      }
    }
  }
}

[[gnu::always_inline]] inline void updateSome(const std::byte* from, std::size_t from_size, std::byte* at,
                                              std::size_t size, std::size_t prefetch_bytes) {
  if (from_size == 0) {
    updateLines<0>(from, at, size, prefetch_bytes);
  } else if (from_size == size) {
    updateLines<kStep>(from, at, size, prefetch_bytes);
  } else {
    updateLines<kStep / 2>(from, at, size, prefetch_bytes);
  }
}

#if defined(__x86_64__)
bool hasAvx512() { return __builtin_cpu_supports("avx512f") != 0; }

[[gnu::target("avx512f")]] std::uint64_t readAvx512(const std::byte* from, std::size_t size,
                                                    std::size_t prefetch_bytes) {
  return readLines(from, size, prefetch_bytes);
}

[[gnu::target("avx512f")]] void updateAvx512(const std::byte* from, std::size_t from_size, std::byte* at,
                                             std::size_t size, std::size_t prefetch_bytes) {
  updateSome(from, from_size, at, size, prefetch_bytes);
}

[[gnu::target("avx512f")]] void streamAvx512(std::byte* to, std::size_t size) {
  const __m512i value = _mm512_set1_epi32(0x3F800000);
  for (std::size_t i = 0; i < size; i += 64) _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), value);
}

[[gnu::target("avx512f")]] void copyAvx512(const std::byte* from, std::byte* to, std::size_t size) {
  for (std::size_t i = 0; i < size; i += 64) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + i), _mm512_load_si512(from + i));
  }
}
#endif

}  // namespace

std::uint64_t readAll(const std::byte* from, std::size_t size, std::size_t prefetch_bytes) {
#if defined(__x86_64__)
  if (hasAvx512()) return readAvx512(from, size, prefetch_bytes);
#endif
  return readLines(from, size, prefetch_bytes);
}

void updateAll(const std::byte* from, std::size_t from_size, std::byte* at, std::size_t size,
               std::size_t prefetch_bytes) {
#if defined(__x86_64__)
  if (hasAvx512()) return updateAvx512(from, from_size, at, size, prefetch_bytes);
#endif
  updateSome(from, from_size, at, size, prefetch_bytes);
}

void streamAll(std::byte* to, std::size_t size) {
#if defined(__x86_64__)
  if (hasAvx512()) {
    streamAvx512(to, size);
  } else {
    const __m128i value = _mm_set1_epi32(0x3F800000);
    for (std::size_t i = 0; i < size; i += 16) _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), value);
  }
  _mm_sfence();
#else
  std::memset(to, 1, size);
#endif
}

void copyAll(const std::byte* from, std::byte* to, std::size_t size) {
#if defined(__x86_64__)
  if (hasAvx512()) {
    copyAvx512(from, to, size);
  } else {
    for (std::size_t i = 0; i < size; i += 16) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), _mm_load_si128(reinterpret_cast<const __m128i*>(from + i)));
    }
  }
  _mm_sfence();
#else
  std::memcpy(to, from, size);
#endif
}

}  // namespace signccl
