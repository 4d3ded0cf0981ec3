// SPDX-License-Identifier: Apache-2.0
#include "bit_kernels.h"

#include <algorithm>
#include <array>
#include <bit>

#if defined(__x86_64__)
#include <immintrin.h>
// One version of a loop for each generation of processors; the loader picks.
#define BASELINES_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BASELINES_VECTOR_CLONES
#endif

namespace baselines {
namespace {

constexpr std::size_t kWordBits = 64;
constexpr std::size_t kBlockWords = 64;
constexpr int kMaxPlanes = 16;

std::uint64_t packWord(const float* elements, std::size_t count) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < count; ++i) word |= std::uint64_t{elements[i] >= 0.0F} << i;
  return word;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void packWordsAvx2(const float* elements, std::size_t nwords, std::uint64_t* words) {
  const __m256 zero = _mm256_setzero_ps();
  for (std::size_t w = 0; w < nwords; ++w) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < kWordBits; i += 8) {
      const __m256 positive = _mm256_cmp_ps(_mm256_loadu_ps(elements + w * kWordBits + i), zero, _CMP_GE_OQ);
      word |= std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_ps(positive))} << i;
    }
    words[w] = word;
  }
}
#endif

void packWords(const float* elements, std::size_t nwords, std::uint64_t* words) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) {
    packWordsAvx2(elements, nwords, words);
    return;
  }
#endif
  for (std::size_t w = 0; w < nwords; ++w) words[w] = packWord(elements + w * kWordBits, kWordBits);
}

/// Planes of a counter of up to `nvotes`.
int planesFor(int nvotes) { return static_cast<int>(std::bit_width(static_cast<unsigned>(nvotes))); }

using Block = std::array<std::uint64_t, kBlockWords>;

/// Adds one vote per bit: a ripple of carries through the planes.
BASELINES_VECTOR_CLONES void addRow(const std::uint64_t* row, std::size_t nwords, int nplanes, Block* planes) {
  Block carry;
  for (std::size_t w = 0; w < nwords; ++w) carry[w] = row[w];
  for (int p = 0; p < nplanes; ++p) {
    for (std::size_t w = 0; w < nwords; ++w) {
      const std::uint64_t sum = planes[p][w] ^ carry[w];
      carry[w] &= planes[p][w];
      planes[p][w] = sum;
    }
  }
}

/// Bit 1 where the count is `threshold` or more: the carry that count + (2^nplanes - threshold) has.
BASELINES_VECTOR_CLONES void compareCounts(const Block* planes, int nplanes, std::uint64_t threshold,
                                           std::size_t nwords, std::uint64_t* out) {
  const std::uint64_t complement = (std::uint64_t{1} << nplanes) - threshold;
  for (std::size_t w = 0; w < nwords; ++w) out[w] = 0;
  for (int p = 0; p < nplanes; ++p) {
    const std::uint64_t addend = (complement >> p & 1) != 0 ? ~std::uint64_t{0} : 0;
    for (std::size_t w = 0; w < nwords; ++w) {
      out[w] = (planes[p][w] & addend) | (out[w] & (planes[p][w] | addend));
    }
  }
}

BASELINES_VECTOR_CLONES void unpackWords(const std::uint64_t* words, std::size_t count, float* elements) {
  constexpr std::uint32_t kOne = 0x3f800000;
  for (std::size_t half = 0; half < count / 32; ++half) {
    const auto negative = static_cast<std::uint32_t>(~(words[half / 2] >> (half % 2 * 32)));
    for (std::uint32_t i = 0; i < 32; ++i)
      elements[half * 32 + i] = std::bit_cast<float>(kOne | (negative >> i & 1) << 31);
  }
}

}  // namespace

void packSigns(const float* elements, std::size_t count, std::uint64_t* words) {
  const std::size_t nwords = count / kWordBits;
  packWords(elements, nwords, words);
  if (count % kWordBits != 0) words[nwords] = packWord(elements + nwords * kWordBits, count % kWordBits);
}

void voteWords(const std::uint64_t* rows, int nrows, std::size_t nwords, std::uint64_t* out) {
  const int nplanes = planesFor(nrows);
  const auto threshold = static_cast<std::uint64_t>(nrows + 1) / 2;
  std::array<Block, kMaxPlanes> planes;
  for (std::size_t first = 0; first < nwords; first += kBlockWords) {
    const std::size_t n = std::min(kBlockWords, nwords - first);
    for (int p = 0; p < nplanes; ++p) planes[static_cast<std::size_t>(p)].fill(0);
    for (int row = 0; row < nrows; ++row) {
      // After `row` rows no count has more planes than this.
      const int used = planesFor(row + 1);
      addRow(rows + static_cast<std::size_t>(row) * nwords + first, n, used, planes.data());
    }
    compareCounts(planes.data(), nplanes, threshold, n, out + first);
  }
}

void unpackSigns(const std::uint64_t* words, std::size_t count, float* elements) {
  unpackWords(words, count, elements);
  for (std::size_t i = count / 32 * 32; i < count; ++i) {
    elements[i] = (words[i / kWordBits] >> (i % kWordBits) & 1) != 0 ? 1.0F : -1.0F;
  }
}

}  // namespace baselines
