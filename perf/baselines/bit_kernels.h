// SPDX-License-Identifier: Apache-2.0
// Signs as bits, for the vote that a program with MPI and no library of sign collectives would write: bit 1 is a sign
// of +1, a zero counts as +1, element i is bit i % 64 of word i / 64.
#ifndef BASELINES_BIT_KERNELS_H_
#define BASELINES_BIT_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace baselines {

/// Sets words [0, (count + 63) / 64); bits past `count` become 0. With AVX2 where the processor has it (compare and
/// movemask, 8 elements at a time), else a plain loop.
void packSigns(const float* elements, std::size_t count, std::uint64_t* words);

/// out[w] gets the majority of rows[w], rows[w + nwords], ...: bit 1 where at least half of the `nrows` rows have it,
/// so ties are +1. Counts in bit-sliced counters over blocks that stay in the first-level cache; the compiler's
/// vectors.
void voteWords(const std::uint64_t* rows, int nrows, std::size_t nwords, std::uint64_t* out);

/// Writes +1 or -1 for each of the first `count` bits; the compiler's vectors.
void unpackSigns(const std::uint64_t* words, std::size_t count, float* elements);

}  // namespace baselines

#endif  // BASELINES_BIT_KERNELS_H_
