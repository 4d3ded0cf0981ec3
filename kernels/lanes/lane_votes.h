// SPDX-License-Identifier: Apache-2.0
// Votes as elements, for each format: 16 bytes at a time, or one element; lane_signs.h backwards.
//
// `LaneVotes` is made of 32 bits of both vote planes, and gives the 16 bytes of row after row: those of row r come from
// bits r * E to r * E + E - 1. A vote is +1 where positive, else 0 where nonnegative, else -1.
#ifndef SIGNCCL_KERNELS_LANES_LANE_VOTES_H_
#define SIGNCCL_KERNELS_LANES_LANE_VOTES_H_

#include "kernels/formats.h"
#include "kernels/lanes/group.h"

namespace signccl::lanes {

template <typename Format>
SIGNCCL_WORD_OP typename Format::Bits voteElement(bool is_positive, bool is_nonnegative) {
  if (is_positive) return Format::kSigns.plus;
  return is_nonnegative ? typename Format::Bits{0} : Format::kSigns.minus;
}

/// A vote is made of -1 where `nonzero`, else 0, with its sign turned where `positive`.
struct VoteBits {
  uint32_t positive;
  uint32_t nonzero;
  SIGNCCL_WORD_OP VoteBits(uint32_t positive_bits, uint32_t nonnegative)
      : positive(positive_bits), nonzero(positive_bits | ~nonnegative) {}

  /// `minus` where a bit of `nonzero` is set that is one of `ones`, moved up by `place`. Instead of moving the bits
  /// down, the factor is, as far as its lowest bits are zero; and no two terms of the product meet.
  SIGNCCL_WORD_OP uint32_t timesNonzero(int place, uint32_t ones, uint32_t minus) const {
    constexpr int kMostMoved = 8;
    const int moved = place % kMostMoved;
    return (nonzero >> (place - moved) & ones << moved) * (minus >> moved);
  }
};

/// Elements of 4 or 8 bytes: of the latter the lower half is zero.
template <typename Format, bool kZeros, size_t kBytes = sizeof(typename Format::Bits)>
struct LaneVotes {
  static constexpr int kItemBits = 16 / static_cast<int>(kBytes);
  VoteBits bits;

  SIGNCCL_WORD_OP LaneVotes(uint32_t positive, uint32_t nonnegative) : bits(positive, nonnegative) {}

  template <typename G>
  SIGNCCL_WORD_OP Quad row(int row) const {
    Quad quad = {};
    SIGNCCL_UNROLL
    for (int k = 0; k < kItemBits; ++k) {
      quad.words[kBytes == 8 ? 2 * k + 1 : k] = upperHalf<G>(row * kItemBits + k);
    }
    return quad;
  }

 private:
  /// The upper 4 bytes of the element of bit `bit`.
  template <typename G>
  SIGNCCL_WORD_OP uint32_t upperHalf(int bit) const {
    constexpr int kLowerBits = 8 * kBytes - 32;
    constexpr auto kMinus = static_cast<uint32_t>(Format::kSigns.minus >> kLowerBits);
    const uint32_t base = kZeros ? bits.timesNonzero(bit, 1, kMinus) : kMinus;
    return G::maskedXor(bits.positive << (31 - bit), 0x8000'0000, base);
  }
};

/// Elements of 2 bytes: two in one register.
template <typename Format, bool kZeros>
struct LaneVotes<Format, kZeros, 2> {
  static constexpr int kItemBits = 8;
  VoteBits bits[2];  ///< of the first two rows, and of the last two

  SIGNCCL_WORD_OP LaneVotes(uint32_t positive, uint32_t nonnegative)
      : bits{{movedApart<0>(positive), movedApart<0>(nonnegative)},
             {movedApart<16>(positive), movedApart<16>(nonnegative)}} {}

  template <typename G>
  SIGNCCL_WORD_OP Quad row(int row) const {
    Quad quad;
    SIGNCCL_UNROLL
    for (int k = 0; k < 4; ++k) {
      const int place = row % 2 * 8 + 2 * k;
      const VoteBits& pairs = bits[row / 2];
      const uint32_t base =
          kZeros ? pairs.timesNonzero(place, 0x1'0001, Format::kSigns.minus) : Format::kSigns.minus * 0x1'0001U;
      quad.words[k] = G::maskedXor(pairs.positive << (15 - place), 0x8000'8000, base);
    }
    return quad;
  }

 private:
  /// Neighbours among bits kFirst to kFirst + 15, 16 apart: their bits 2 k and 2 k + 1 are bits 2 k and 16 + 2 k of the
  /// result, whose other bits mean nothing.
  template <int kFirst>
  SIGNCCL_WORD_OP static uint32_t movedApart(uint32_t x) {
    if constexpr (kFirst == 0) return (x & 0xFFFF) | (x << 15 & 0xFFFF'0000);
    return x >> 16 | (x >> 1 & 0xFFFF'0000);
  }
};

/// Bytes: four in one register.
template <typename Format, bool kZeros>
struct LaneVotes<Format, kZeros, 1> {
  static constexpr int kItemBits = 16;
  VoteBits bits;

  SIGNCCL_WORD_OP LaneVotes(uint32_t positive, uint32_t nonnegative) : bits(positive, nonnegative) {}

  template <typename G>
  SIGNCCL_WORD_OP Quad row(int row) const {
    Quad quad;
    SIGNCCL_UNROLL
    for (int k = 0; k < 4; ++k) {
      const int place = row * kItemBits + 4 * k;
      const uint32_t base = kZeros ? toBytes(bits.nonzero >> place) * Format::kSigns.minus : 0xFFFF'FFFF;
      quad.words[k] = base ^ toBytes(bits.positive >> place) * (Format::kSigns.plus ^ Format::kSigns.minus);
    }
    return quad;
  }

 private:
  /// The lowest four bits, one in each byte. No two terms of the product meet at the bits that are kept.
  SIGNCCL_WORD_OP static uint32_t toBytes(uint32_t nibble) { return (nibble & 0xF) * 0x0020'4081 & 0x0101'0101; }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LANE_VOTES_H_
