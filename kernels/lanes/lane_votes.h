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

/// The bits of -1, and those that are not 0.
template <bool kZeros>
struct VoteBits {
  uint32_t minus;
  uint32_t nonzero;
  SIGNCCL_WORD_OP VoteBits(uint32_t positive, uint32_t nonnegative)
      : minus(kZeros ? ~(positive | nonnegative) : ~positive), nonzero(positive | ~nonnegative) {}
};

/// Elements of 4 or 8 bytes: of the latter the lower half is zero.
template <typename Format, bool kZeros, size_t kBytes = sizeof(typename Format::Bits)>
struct LaneVotes {
  static constexpr int kItemBits = 16 / static_cast<int>(kBytes);
  VoteBits<kZeros> bits;

  SIGNCCL_WORD_OP LaneVotes(uint32_t positive, uint32_t nonnegative) : bits(positive, nonnegative) {}

  SIGNCCL_WORD_OP Quad row(int row) const {
    Quad quad = {};
    SIGNCCL_UNROLL
    for (int k = 0; k < kItemBits; ++k) {
      quad.words[kBytes == 8 ? 2 * k + 1 : k] = upperHalf(row * kItemBits + k);
    }
    return quad;
  }

 private:
  /// The upper 4 bytes of the element of bit `bit`.
  SIGNCCL_WORD_OP uint32_t upperHalf(int bit) const {
    constexpr auto kPlus = static_cast<uint32_t>(Format::kSigns.plus >> (8 * kBytes - 32));
    const uint32_t sign = bits.minus << (31 - bit) & 0x8000'0000;
    if constexpr (!kZeros) return sign | kPlus;
    // All ones or all zeros: the bit in question, spread to the right.
    const auto mask = static_cast<uint32_t>(static_cast<int32_t>(bits.nonzero << (31 - bit)) >> 31);
    return sign | (mask & kPlus);
  }
};

/// Puts bit k of the low half of the result where bit 2 k of x is, and bit k of the high half where bit 2 k + 1 is.
SIGNCCL_WORD_OP uint32_t separateHalves(uint32_t x) {
  uint32_t t = (x ^ (x >> 1)) & 0x2222'2222;
  x ^= t ^ (t << 1);
  t = (x ^ (x >> 2)) & 0x0C0C'0C0C;
  x ^= t ^ (t << 2);
  t = (x ^ (x >> 4)) & 0x00F0'00F0;
  x ^= t ^ (t << 4);
  t = (x ^ (x >> 8)) & 0x0000'FF00;
  return x ^ t ^ (t << 8);
}

/// Elements of 2 bytes: two in one register. The bits of the lower elements of pairs are in the low half, those of the
/// upper ones in the high half.
template <typename Format, bool kZeros>
struct LaneVotes<Format, kZeros, 2> {
  static constexpr int kItemBits = 8;
  uint32_t minus;
  uint32_t nonzero;

  SIGNCCL_WORD_OP LaneVotes(uint32_t positive, uint32_t nonnegative) {
    const VoteBits<kZeros> bits(positive, nonnegative);
    minus = separateHalves(bits.minus);
    if constexpr (kZeros) nonzero = separateHalves(bits.nonzero);
  }

  SIGNCCL_WORD_OP Quad row(int row) const {
    constexpr uint32_t kPlus = Format::kSigns.plus * 0x1'0001;
    Quad quad;
    SIGNCCL_UNROLL
    for (int k = 0; k < 4; ++k) {
      const int place = row * 4 + k;
      const uint32_t signs = minus << (15 - place) & 0x8000'8000;
      if constexpr (kZeros) {
        // A product of a bit at the bottom of each half: no term meets another one.
        quad.words[k] = signs + (nonzero >> place & 0x1'0001) * Format::kSigns.plus;
      } else {
        quad.words[k] = signs | kPlus;
      }
    }
    return quad;
  }
};

/// Bytes: four in one register.
template <typename Format, bool kZeros>
struct LaneVotes<Format, kZeros, 1> {
  static constexpr int kItemBits = 16;
  VoteBits<kZeros> bits;

  SIGNCCL_WORD_OP LaneVotes(uint32_t positive, uint32_t nonnegative) : bits(positive, nonnegative) {}

  SIGNCCL_WORD_OP Quad row(int row) const {
    Quad quad;
    SIGNCCL_UNROLL
    for (int k = 0; k < 4; ++k) {
      const int place = row * kItemBits + 4 * k;
      // -1 is 0xFF: 0xFE more than +1.
      const uint32_t ones = kZeros ? toBytes(bits.nonzero >> place) : 0x0101'0101;
      quad.words[k] = ones + toBytes(bits.minus >> place) * 0xFE;
    }
    return quad;
  }

 private:
  /// The lowest four bits, one in each byte. No two terms of the product meet at the bits that are kept.
  SIGNCCL_WORD_OP static uint32_t toBytes(uint32_t nibble) { return (nibble & 0xF) * 0x0020'4081 & 0x0101'0101; }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LANE_VOTES_H_
