// SPDX-License-Identifier: Apache-2.0
// The counts of the elements that one lane holds, out of bit-sliced planes.
#ifndef SIGNCCL_KERNELS_LANES_LANE_COUNTS_H_
#define SIGNCCL_KERNELS_LANES_LANE_COUNTS_H_

#include "kernels/kernels.h"
#include "kernels/lanes/group.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

/// One stage of transposeBits(): exchanges bit kBit of the number of a word with the same bit of the place in it.
template <int kBit>
SIGNCCL_WORD_OP void exchangeBits(uint32_t* words) {
  constexpr uint32_t kKept = itemsWithout<1, kBit>();
  SIGNCCL_UNROLL
  for (int j = 0; j < 8; ++j) {
    if ((j & kBit) != 0) continue;
    const uint32_t low = words[j];
    const uint32_t high = words[j + kBit];
    words[j] = (low & kKept) | (high << kBit & ~kKept);
    words[j + kBit] = (low >> kBit & kKept) | (high & ~kKept);
  }
}

/// Transposes 8 words as four matrices of 8 x 8 bits: bit 8 b + i of word j becomes bit 8 b + j of word i.
SIGNCCL_WORD_OP void transposeBits(uint32_t* words) {
  exchangeBits<1>(words);
  exchangeBits<2>(words);
  exchangeBits<4>(words);
}

/// The counts of 32 elements, in bytes: byte b of word i is that of element 8 b + i. Above 8 planes, higher bytes lie
/// in a second set of words.
template <int kPlanes>
struct LaneCounts {
  static constexpr int kSets = kPlanes <= 8 ? 1 : 2;
  uint32_t words[kSets][8];

  /// The count of element e. Where 5 planes suffice the bits above them are not cleared: a shuffle looks at no others.
  SIGNCCL_WORD_OP uint32_t number(int e) const {
    const int shift = e / 8 * 8;
    if constexpr (kPlanes <= 5) return words[0][e % 8] >> shift;
    uint32_t result = words[0][e % 8] >> shift & 0xFF;
    if constexpr (kSets == 2) result |= (words[1][e % 8] >> shift & 0xFF) << 8;
    return result;
  }
};

/// The counts of a whole tile, those of each lane in the order of its elements (tiles.h).
template <typename G, int kPlanes, int kItemBits>
SIGNCCL_WORD_OP typename G::template PerLane<LaneCounts<kPlanes>> laneCounts(ConstPlanes counts, size_t tile) {
  using Counts = LaneCounts<kPlanes>;
  typename G::template PerLane<uint32_t> planes[8 * Counts::kSets];
  SIGNCCL_UNROLL
  for (int j = 0; j < 8 * Counts::kSets; ++j) {
    const bool is_there = j < kPlanes && j < counts.nplanes;
    G::each([&](int lane) {
      planes[j][lane] = 0;
      if (!is_there) return;
      const size_t word = tile * kLanes + static_cast<size_t>(wordOfLane<kItemBits>(lane));
      planes[j][lane] = G::load(halves(counts.words) + 2 * static_cast<size_t>(j) * counts.stride + word);
    });
  }
  SIGNCCL_UNROLL
  for (int j = 0; j < kPlanes; ++j) {
    if (j < counts.nplanes) transposeItems<G, kItemBits>(planes[j]);
  }
  typename G::template PerLane<Counts> result;
  G::each([&](int lane) {
    SIGNCCL_UNROLL
    for (int set = 0; set < Counts::kSets; ++set) {
      SIGNCCL_UNROLL
      for (int j = 0; j < 8; ++j) result[lane].words[set][j] = planes[8 * set + j][lane];
      transposeBits(result[lane].words[set]);
    }
  });
  return result;
}

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LANE_COUNTS_H_
