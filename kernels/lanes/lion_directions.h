// SPDX-License-Identifier: Apache-2.0
// The directions D of a Lion step from the planes of bits that a lane holds: votes, votes with zeros, or means by
// table.
//
// A kind of directions has Arguments, kMaxPlanes, and
//   nplanes(arguments)        how many planes there are, at most kMaxPlanes
//   plane(arguments, j)       plane j in words of 32 bits; word 0 is the first of the range
//   next(arguments, at, word) where the word of this number is in plane j + 1; `at` is where it is in plane j
//   one<G>(arguments, words, place)       the direction of bit `place` of words that are one word of each plane
//   prepare<G>(arguments, words)          changes such words, of which those without a plane are 0, for
//   from<G>(words, row, rows)             gives kRowWords words, of the prepared ones, for four rows from `row` on
//   at<G>(arguments, rows, row, k)        the direction of element k of a row, counted from there
// Element k of a row is bit 4 * row + k of a word.
#ifndef SIGNCCL_KERNELS_LANES_LION_DIRECTIONS_H_
#define SIGNCCL_KERNELS_LANES_LION_DIRECTIONS_H_

#include "kernels/device/lion_arguments.h"
#include "kernels/lanes/lane_counts.h"
#include "kernels/lanes/lion_numbers.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

template <bool kZeros>
struct VoteDirections {
  using Arguments = LionVoteArguments;
  static constexpr int kMaxPlanes = kZeros ? 2 : 1;
  static constexpr int kRowWords = 1;

  SIGNCCL_WORD_OP static int nplanes(const Arguments&) { return kMaxPlanes; }
  SIGNCCL_WORD_OP static const uint32_t* plane(const Arguments& arguments, int j) {
    return halves(j == 0 ? arguments.positive : arguments.nonnegative);
  }
  SIGNCCL_WORD_OP static const uint32_t* next(const Arguments& arguments, const uint32_t*, size_t word) {
    return halves(arguments.nonnegative) + word;
  }

  template <typename G>
  SIGNCCL_WORD_OP static float one(const Arguments&, const uint32_t* words, uint32_t place) {
    if ((words[0] >> place & 1) != 0) return 1.0F;
    const bool is_zero = kZeros && (words[kMaxPlanes - 1] >> place & 1) != 0;
    return is_zero ? 0.0F : -1.0F;
  }

  /// With zeros the first word gets what is negative, and the second what is not zero.
  template <typename G>
  SIGNCCL_WORD_OP static void prepare(const Arguments&, uint32_t* words) {
    if constexpr (!kZeros) return;
    const uint32_t negative = ~(words[0] | words[1]);
    words[1] = words[0] | negative;
    words[0] = negative;
  }

  /// Four rows, two bytes of each word. With zeros there is one word then: a byte with what is not zero, a byte with
  /// what is negative, and both for the other byte.
  template <typename G>
  SIGNCCL_WORD_OP static void from(const uint32_t* words, int row, uint32_t* rows) {
    if constexpr (kZeros) {
      rows[0] = G::bytes(words[1], words[0], 0x5140 + 0x2222 * (static_cast<uint32_t>(row) / 4));
    } else {
      rows[0] = words[0] >> (4 * row);
    }
  }

  /// With zeros 1.0 is multiplied by the bit of what is not zero, as far down as the bit is up. Eight bits above it is
  /// the bit of what is negative: of its product all but the lowest bit is too high, and that one is the sign.
  template <typename G>
  SIGNCCL_WORD_OP static float at(const Arguments&, const uint32_t* rows, int row, int k) {
    if constexpr (kZeros) {
      const int bit = row / 2 * 16 + row % 2 * 4 + k;
      return floatOf((rows[0] & uint32_t{0x101} << bit) * (kOne >> bit));
    } else {
      return (rows[0] >> (4 * row + k) & 1) != 0 ? 1.0F : -1.0F;
    }
  }

 private:
  static constexpr uint32_t kOne = 0x3F80'0000;  ///< 1.0F
};

/// Four planes with the bits of four elements in each four bits, and back: word k gets the bits of element k.
template <typename G>
SIGNCCL_WORD_OP void transposeFours(uint32_t* words) {
  exchangeBits<G, 1>(words[0], words[1]);
  exchangeBits<G, 1>(words[2], words[3]);
  exchangeBits<G, 2>(words[0], words[2]);
  exchangeBits<G, 2>(words[1], words[3]);
}

/// The table is read from memory, where the lanes of a warp mostly find it in one line of the cache. kMax: 8 or 16.
template <int kMax>
struct AvgDirections {
  using Arguments = LionAvgArguments;
  static constexpr int kMaxPlanes = kMax;
  static constexpr int kRowWords = kMax + 1;

  SIGNCCL_WORD_OP static int nplanes(const Arguments& arguments) { return arguments.nplanes; }
  SIGNCCL_WORD_OP static const uint32_t* plane(const Arguments& arguments, int j) {
    return halves(arguments.counts + static_cast<size_t>(j) * arguments.stride);
  }
  SIGNCCL_WORD_OP static const uint32_t* next(const Arguments& arguments, const uint32_t* at, size_t) {
    return at + 2 * arguments.stride;
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
  template <typename G>
  SIGNCCL_WORD_OP static void prepare(const Arguments&, uint32_t* words) {
    SIGNCCL_UNROLL
    for (int j = 0; j < kMaxPlanes; j += 4) transposeFours<G>(words + j);
    SIGNCCL_UNROLL
    for (int j = 0; j < kMaxPlanes; j += 8) {
      SIGNCCL_UNROLL
      for (int k = j; k < j + 4; ++k) exchangeBits<G, 4>(words[k], words[k + 4]);
    }
  }

  /// The words as they are, and then which of their bytes belong to the rows: two counts of 8 bits, or of 16, of which
  /// one word has the lower bytes and the other one the upper ones.
  template <typename G>
  SIGNCCL_WORD_OP static void from(const uint32_t* words, int row, uint32_t* rows) {
    SIGNCCL_UNROLL
    for (int j = 0; j < kMaxPlanes; ++j) rows[j] = words[j];
    const auto bytes = static_cast<uint32_t>(row) / 2;
    rows[kMaxPlanes] = kMax > 8 ? 0x5140 + bytes * 0x1111 : 0x4440 + bytes;
  }

  template <typename G>
  SIGNCCL_WORD_OP static float at(const Arguments& arguments, const uint32_t* rows, int row, int k) {
    const int word = row % 2 * 4 + k;
    const uint32_t which = rows[kMaxPlanes];
    if constexpr (kMax <= 8) {
      return G::load(arguments.means + G::bytes(rows[word], 0, which + static_cast<uint32_t>(row) / 2));
    }
    const uint32_t two = G::bytes(rows[word], rows[word + 8], which);
    return G::load(arguments.means + halfOf<G>(two, row / 2));
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LION_DIRECTIONS_H_
