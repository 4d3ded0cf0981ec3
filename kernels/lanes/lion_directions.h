// SPDX-License-Identifier: Apache-2.0
// The directions D of a Lion step from the planes of bits that a lane holds: votes, votes with zeros, or means by
// table.
//
// A kind of directions has Arguments, kMaxPlanes, and
//   nplanes(arguments)        how many planes there are, at most kMaxPlanes
//   plane(arguments, j)       plane j in words of 32 bits; word 0 is the first of the range
//   one<G>(arguments, words, place)       the direction of bit `place` of words that are one word of each plane
//   prepare(arguments, words)             changes such words, of which those without a plane are 0, for
//   at<G>(arguments, words, row, k)       the direction of bit 4 * row + k. Words that are shifted to the right by
//                                         4 bits have the next row where the first one was
#ifndef SIGNCCL_KERNELS_LANES_LION_DIRECTIONS_H_
#define SIGNCCL_KERNELS_LANES_LION_DIRECTIONS_H_

#include "kernels/device/lion_arguments.h"
#include "kernels/lanes/lion_numbers.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

template <bool kZeros>
struct VoteDirections {
  using Arguments = LionVoteArguments;
  static constexpr int kMaxPlanes = kZeros ? 2 : 1;

  SIGNCCL_WORD_OP static int nplanes(const Arguments&) { return kMaxPlanes; }
  SIGNCCL_WORD_OP static const uint32_t* plane(const Arguments& arguments, int j) {
    return halves(j == 0 ? arguments.positive : arguments.nonnegative);
  }

  template <typename G>
  SIGNCCL_WORD_OP static float one(const Arguments& arguments, const uint32_t* words, uint32_t place) {
    uint32_t prepared[kMaxPlanes];
    SIGNCCL_UNROLL
    for (int j = 0; j < kMaxPlanes; ++j) prepared[j] = words[j] >> place;
    prepare(arguments, prepared);
    return at<G>(arguments, prepared, 0, 0);
  }

  /// The second word gets the zeros alone.
  SIGNCCL_WORD_OP static void prepare(const Arguments&, uint32_t* words) {
    if constexpr (kZeros) words[1] &= ~words[0];
  }

  template <typename G>
  SIGNCCL_WORD_OP static float at(const Arguments&, const uint32_t* words, int row, int k) {
    const uint32_t bit = uint32_t{1} << (4 * row + k);
    const float vote = (words[0] & bit) != 0 ? 1.0F : -1.0F;
    if constexpr (kZeros) return (words[1] & bit) != 0 ? 0.0F : vote;
    return vote;
  }
};

/// Exchanges the bits of two words whose places have bit kBit set in `a` and clear in `b`.
template <int kBit, uint32_t kClear>
SIGNCCL_WORD_OP void exchangeBits(uint32_t& a, uint32_t& b) {
  const uint32_t differences = (a >> kBit ^ b) & kClear;
  b ^= differences;
  a ^= differences << kBit;
}

/// Four planes with the bits of four elements in each four bits, and back: word k gets the bits of element k.
SIGNCCL_WORD_OP void transposeFours(uint32_t* words) {
  exchangeBits<1, 0x5555'5555>(words[0], words[1]);
  exchangeBits<1, 0x5555'5555>(words[2], words[3]);
  exchangeBits<2, 0x3333'3333>(words[0], words[2]);
  exchangeBits<2, 0x3333'3333>(words[1], words[3]);
}

/// Four bits in each four of `low` and `high` become the bytes of even rows, in `low`, and of odd ones, in `high`.
SIGNCCL_WORD_OP void mergeFours(uint32_t& low, uint32_t& high) {
  const uint32_t even = (low & 0x0F0F'0F0F) | (high << 4 & 0xF0F0'F0F0);
  high = (low >> 4 & 0x0F0F'0F0F) | (high & 0xF0F0'F0F0);
  low = even;
}

/// The table is read from memory, where the lanes of a warp mostly find it in one line of the cache. kMax: 8 or 16.
template <int kMax>
struct AvgDirections {
  using Arguments = LionAvgArguments;
  static constexpr int kMaxPlanes = kMax;

  SIGNCCL_WORD_OP static int nplanes(const Arguments& arguments) { return arguments.nplanes; }
  SIGNCCL_WORD_OP static const uint32_t* plane(const Arguments& arguments, int j) {
    return halves(arguments.counts + static_cast<size_t>(j) * arguments.stride);
  }

  template <typename G>
  SIGNCCL_WORD_OP static float one(const Arguments& arguments, const uint32_t* words, uint32_t place) {
    uint32_t count = 0;
    SIGNCCL_UNROLL
    for (int j = 0; j < kMaxPlanes; ++j) {
      if (j >= arguments.nplanes) break;
      count |= (words[j] >> place & 1) << j;
    }
    return G::load(arguments.means + count);
  }

  /// Then words k and 4 + k have the lower bytes of the counts of element k of even and of odd rows, and those eight
  /// words further on the upper bytes.
  SIGNCCL_WORD_OP static void prepare(const Arguments& arguments, uint32_t* words) {
    SIGNCCL_UNROLL
    for (int j = 0; j < kMaxPlanes; j += 4) {
      if (j < arguments.nplanes) transposeFours(words + j);
    }
    SIGNCCL_UNROLL
    for (int j = 0; j < kMaxPlanes; j += 8) {
      SIGNCCL_UNROLL
      for (int k = j; k < j + 4; ++k) mergeFours(words[k], words[k + 4]);
    }
  }

  template <typename G>
  SIGNCCL_WORD_OP static float at(const Arguments& arguments, const uint32_t* words, int row, int k) {
    const int word = row % 2 * 4 + k;
    const int byte = row / 2 * 8;
    uint32_t count = words[word] >> byte & 0xFF;
    if constexpr (kMax > 8) count |= (words[word + 8] >> byte & 0xFF) << 8;
    return G::load(arguments.means + count);
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LION_DIRECTIONS_H_
