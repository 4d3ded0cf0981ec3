// SPDX-License-Identifier: Apache-2.0
// Notes: what ranks tell each other beside votes. A note travels with every message (Request::note), and a rank that
// passes votes on passes their notes on too, so whoever has a result has the notes of all ranks. They are joined by
// "or".
//
// Bit 0 is the veto. Of an exchange of sums, bits 1 + 2 i and 2 + 2 i are what the source of segment i has met, and bit
// 15 says that this is of one slice alone.
#ifndef SIGNCCL_EXEC_NOTES_H_
#define SIGNCCL_EXEC_NOTES_H_

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace signccl {

/// A rank vetoes the exchange; see Batch::vetoes.
inline constexpr std::uint32_t kVetoNote = 1;

/// A rank says of each slice of sums what it has met there, as Batch::discards_misfits allows. Without it every note
/// says that of all slices.
inline constexpr std::uint32_t kPartialNote = 1U << 15U;

/// Of an exchange.
struct Notes {
  std::uint32_t all = 0;  ///< of all ranks
  std::uint32_t own = 0;  ///< of this rank
};

/// Segments of an exchange of sums: a note has 16 bits.
inline constexpr std::size_t kMaxSumSegments = 7;

/// The note of a rank whose source of a segment has met `met`, kMetZeros and kMetOthers.
inline std::uint32_t noteOfSum(std::size_t segment, std::uint32_t met) { return met << (1 + 2 * segment); }

/// What the sources of all ranks that a note is of have met.
inline std::uint32_t metOfSum(std::uint32_t note, std::size_t segment) {
  return (note >> (1 + 2 * segment)) & (kMetZeros | kMetOthers);
}

/// True if signs can stand for the values, so that the sum may be written.
inline bool fitsSigns(std::uint32_t met, int votes_per_rank) {
  return votes_per_rank == 1 ? met == 0 : (met & kMetOthers) == 0;
}

/// What fitsSigns() wants, for messages.
inline const char* expectedSigns(int votes_per_rank) {
  return votes_per_rank == 1 ? "expected -1 and +1 (config->zeroRule is signcclZeroBinary)"
                             : "expected -1, 0 and +1 (config->zeroRule is signcclZeroTernary)";
}

}  // namespace signccl

#endif  // SIGNCCL_EXEC_NOTES_H_
