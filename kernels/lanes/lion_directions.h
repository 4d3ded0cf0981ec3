// The directions D of a Lion step from the planes of bits that a lane holds: votes, votes with zeros, or means by table.
//
// A kind of directions has Arguments, kMaxPlanes, and
//   nplanes(arguments)         how many planes there are
//   plane(arguments, j)        plane j in words of 32 bits; word 0 is the first of the range
//   one<G>(arguments, words, place)    the direction of bit `place`, where words[j] is a word of plane j
//   Batch<kRows>(arguments, words, place)    those of 4 * kRows bits from bit `place` on, four for each row
//   batch.at<G>(row, k)                      the direction of bit k of a row
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
  SIGNCCL_WORD_OP static float one(const Arguments&, const uint32_t* words, uint32_t place) {
    constexpr uint32_t kMinusOne = 0xBF80'0000;
    const uint32_t up = 31 - place;
    const uint32_t vote = kMinusOne ^ (words[0] << up & 0x8000'0000);
    if constexpr (kZeros) {
      const bool is_zero = ((~words[0] & words[1]) >> place & 1) != 0;
      return floatOf(is_zero ? 0 : vote);
    }
    return floatOf(vote);
  }

  template <int kRows>
  struct Batch {
    const Arguments& arguments;
    uint32_t shifted[kMaxPlanes];

    SIGNCCL_WORD_OP Batch(const Arguments& vote_arguments, const uint32_t* words, int place)
        : arguments(vote_arguments) {
      for (int j = 0; j < kMaxPlanes; ++j) shifted[j] = words[j] >> place;
    }
    template <typename G>
    SIGNCCL_WORD_OP float at(int row, int k) const {
      return one<G>(arguments, shifted, static_cast<uint32_t>(4 * row + k));
    }
  };
};

/// The table is read from memory, where the lanes of a warp mostly find it in one line of the cache.
struct AvgDirections {
  using Arguments = LionAvgArguments;
  static constexpr int kMaxPlanes = kMaxLionPlanes;

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

  /// The four counts of a row lie side by side in the bytes of a register, their upper bytes in another one. The product
  /// moves bit k of four bits to byte k; no two of its terms meet.
  template <int kRows>
  struct Batch {
    const float* means;
    uint32_t bytes[kRows][2] = {};

    SIGNCCL_WORD_OP Batch(const Arguments& arguments, const uint32_t* words, int place) : means(arguments.means) {
      SIGNCCL_UNROLL
      for (int j = 0; j < kMaxPlanes; ++j) {
        if (j >= arguments.nplanes) break;
        SIGNCCL_UNROLL
        for (int row = 0; row < kRows; ++row) {
          bytes[row][j / 8] |= ((words[j] >> (place + 4 * row) & 0xF) * 0x0020'4081 & 0x0101'0101) << (j % 8);
        }
      }
    }
    template <typename G>
    SIGNCCL_WORD_OP float at(int row, int k) const {
      const uint32_t count = (bytes[row][0] >> (8 * k) & 0xFF) | (bytes[row][1] >> (8 * k) & 0xFF) << 8;
      return G::load(means + count);
    }
  };
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LION_DIRECTIONS_H_
