// SPDX-License-Identifier: Apache-2.0
// The directions D of a Lion step from the planes of bits that a lane holds: votes, votes with zeros, or means by
// table.
//
// A kind of directions has Arguments, kMaxPlanes, and
//   nplanes(arguments)        how many planes there are, at most kMaxPlanes
//   plane(arguments, j)       plane j in words of 32 bits; word 0 is the first of the range
//   stride(arguments)         words from a plane to the next one
//   one<G>(arguments, words, place)       the direction of bit `place` of words that are one word of each plane
//   prepare<G>(arguments, words)          changes such words, of which those without a plane are 0, for
//   from<G>(words, part, parts)           gives kPartWords words, of the prepared ones, for a half of their elements:
//                                         bits 16 * part to 16 * part + 15
//   at<G>(arguments, parts, e)            the direction of element e of these 16
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
  static constexpr int kPartWords = 1;

  SIGNCCL_WORD_OP static int nplanes(const Arguments&) { return kMaxPlanes; }
  SIGNCCL_WORD_OP static const uint32_t* plane(const Arguments& arguments, int j) {
    return halves(j == 0 ? arguments.positive : arguments.nonnegative);
  }
  SIGNCCL_WORD_OP static ptrdiff_t stride(const Arguments& arguments) {
    const auto bytes =
        reinterpret_cast<intptr_t>(arguments.nonnegative) - reinterpret_cast<intptr_t>(arguments.positive);
    return bytes / static_cast<ptrdiff_t>(sizeof(uint32_t));
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

  /// Two bytes of each word. With zeros there is one word then: a byte with what is not zero, a byte with what is
  /// negative, and both for the other byte.
  template <typename G>
  SIGNCCL_WORD_OP static void from(const uint32_t* words, int part, uint32_t* parts) {
    if constexpr (kZeros) {
      parts[0] = G::bytes(words[1], words[0], 0x5140 + 0x2222 * static_cast<uint32_t>(part));
    } else {
      parts[0] = words[0] >> (16 * part);
    }
  }

  /// With zeros 1.0 is multiplied by the bit of what is not zero, as far down as the bit is up. Eight bits above it is
  /// the bit of what is negative: of its product all but the lowest bit is too high, and that one is the sign.
  template <typename G>
  SIGNCCL_WORD_OP static float at(const Arguments&, const uint32_t* parts, int e) {
    if constexpr (kZeros) {
      const int bit = e / 8 * 16 + e % 8;
      return floatOf((parts[0] & uint32_t{0x101} << bit) * (kOne >> bit));
    } else {
      return (parts[0] >> e & 1) != 0 ? 1.0F : -1.0F;
    }
  }

 private:
  static constexpr uint32_t kOne = 0x3F80'0000;  ///< 1.0F
};

/// The table is read from memory, where the lanes of a warp mostly find it in one line of the cache. kMax: 8 or 16.
template <int kMax>
struct AvgDirections {
  using Arguments = LionAvgArguments;
  static constexpr int kMaxPlanes = kMax;
  static constexpr int kPartWords = kMax + 1;

  SIGNCCL_WORD_OP static int nplanes(const Arguments& arguments) { return arguments.nplanes; }
  SIGNCCL_WORD_OP static const uint32_t* plane(const Arguments& arguments, int j) {
    return halves(arguments.counts + static_cast<size_t>(j) * arguments.stride);
  }
  SIGNCCL_WORD_OP static ptrdiff_t stride(const Arguments& arguments) {
    return static_cast<ptrdiff_t>(2 * arguments.stride);
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

  /// Then byte b of word k is the lower byte of the count of element 8 * b + k, and that of word 8 + k the upper one.
  template <typename G>
  SIGNCCL_WORD_OP static void prepare(const Arguments&, uint32_t* words) {
    if constexpr (kMax > 8) words[kMax - 1] = ~words[kMax - 1];
    SIGNCCL_UNROLL
    for (int j = 0; j < kMaxPlanes; j += 8) transposeBits<G>(words + j);
  }

  /// The words as they are, and then which of their bytes make the count of element 0. A byte that is chosen by its
  /// number plus 8 gives its highest bit eight times: counts of 16 bits become numbers with a sign, since one operation
  /// could not take the zeros above them from anywhere. Their highest bit was inverted, so that 0 stands for 2^15.
  template <typename G>
  SIGNCCL_WORD_OP static void from(const uint32_t* words, int part, uint32_t* parts) {
    SIGNCCL_UNROLL
    for (int j = 0; j < kMaxPlanes; ++j) parts[j] = words[j];
    const auto bytes = 2 * static_cast<uint32_t>(part);
    parts[kMaxPlanes] = kMax > 8 ? 0xCC40 + bytes * 0x1111 : 0x4440 + bytes;
  }

  template <typename G>
  SIGNCCL_WORD_OP static float at(const Arguments& arguments, const uint32_t* parts, int e) {
    const int word = e % 8;
    const auto byte = static_cast<uint32_t>(e) / 8;
    const uint32_t which = parts[kMaxPlanes];
    if constexpr (kMax <= 8) return G::load(arguments.means + G::bytes(parts[word], 0, which + byte));
    const uint32_t count = G::bytes(parts[word], parts[word + 8], which + byte * 0x1111);
    return G::load(arguments.means + (1 << 15) + static_cast<int32_t>(count));
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LION_DIRECTIONS_H_
