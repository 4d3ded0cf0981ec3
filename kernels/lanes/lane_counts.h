// SPDX-License-Identifier: Apache-2.0
// The counts of the elements that one lane holds, out of bit-sliced planes.
#ifndef SIGNCCL_KERNELS_LANES_LANE_COUNTS_H_
#define SIGNCCL_KERNELS_LANES_LANE_COUNTS_H_

#include "kernels/kernels.h"
#include "kernels/lanes/group.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

/// Exchanges the bits of two words whose places have bit kBit set in `low` and clear in `high`.
template <typename G, int kBit>
SIGNCCL_WORD_OP void exchangeBits(uint32_t& low, uint32_t& high) {
  constexpr uint32_t kKept = itemsWithout<1, kBit>();
  const uint32_t first = G::select(kKept, low, high << kBit);
  high = G::select(kKept, low >> kBit, high);
  low = first;
}

/// One stage of transposeBits(): exchanges bit kBit of the number of a word with the same bit of the place in it.
template <typename G, int kBit, int kUsed>
SIGNCCL_WORD_OP void exchangeBits(uint32_t* words) {
  SIGNCCL_UNROLL
  for (int j = 0; j < kUsed; ++j) {
    if ((j & kBit) == 0) exchangeBits<G, kBit>(words[j], words[j + kBit]);
  }
}

/// Transposes 8 words as four matrices of 8 x 8 bits: bit 8 b + i of word j becomes bit 8 b + j of word i. Words from
/// kUsed on are 0.
template <typename G, int kUsed = 8>
SIGNCCL_WORD_OP void transposeBits(uint32_t* words) {
  exchangeBits<G, 1, (kUsed < 8 ? kUsed : 8)>(words);
  exchangeBits<G, 2, 8>(words);
  exchangeBits<G, 4, 8>(words);
}

/// A half of a word, half 0 the lower one. As an index of a table: of a mask the compiler would make three operations.
template <typename G>
SIGNCCL_WORD_OP uint32_t halfOf(uint32_t word, int half) {
  return half == 0 ? G::bytes(word, 0, 0x4410) : word >> 16;
}

/// The counts of 32 elements, in bytes: byte b of word i is that of element 8 b + i. Above 8 planes, higher bytes lie
/// in a second set of words.
template <int kPlanes>
struct LaneCounts {
  static constexpr int kSets = kPlanes <= 8 ? 1 : 2;
  uint32_t words[kSets][8];

  /// The count of element e. Where 5 planes suffice the bits above them are not cleared: a shuffle looks at no others.
  template <typename G>
  SIGNCCL_WORD_OP uint32_t number(int e) const {
    const auto byte = static_cast<uint32_t>(e / 8);
    const uint32_t low = words[0][e % 8];
    if constexpr (kPlanes <= 5) return low >> 8 * byte;
    if constexpr (kSets == 1) return G::bytes(low, 0, 0x4440 + byte);
    const uint32_t two = G::bytes(low, words[1][e % 8], byte < 2 ? 0x5140 : 0x7362);
    return halfOf<G>(two, static_cast<int>(byte % 2));
  }
};

/// Reads the counts of whole tiles. kClears: whether bits above the planes that are there are 0; else they mean
/// nothing, and there is at least one plane.
template <typename G, int kPlanes, int kItemBits, bool kClears>
class CountsReader {
 public:
  using Counts = LaneCounts<kPlanes>;

  SIGNCCL_WORD_OP explicit CountsReader(ConstPlanes counts) : nplanes_(counts.nplanes), step_(2 * counts.stride) {
    G::each(
        [&](int lane) { first_[lane] = halves(counts.words) + static_cast<uint32_t>(wordOfLane<kItemBits>(lane)); });
  }

  /// Those of each lane in the order of its elements (tiles.h). `plane`: how tiles lie to words (shifted_tiles.h).
  template <typename Plane>
  SIGNCCL_WORD_OP typename G::template PerLane<Counts> read(Plane plane, size_t tile) const {
    typename G::template PerLane<uint32_t> planes[8 * Counts::kSets];
    G::each([&](int lane) {
      SIGNCCL_UNROLL
      for (int j = 0; j < 8 * Counts::kSets; ++j) planes[j][lane] = 0;
      const uint32_t* from = first_[lane] + tile * kLanes;
      SIGNCCL_UNROLL
      for (int j = 0; j < kPlanes; ++j) {
        // Behind the last plane the address is of no use, but to ask takes longer.
        if (j > 0 && (kClears || j < nplanes_)) from += step_;
        if (!kClears || j < nplanes_) planes[j][lane] = plane.template load<G>(from);
      }
    });
    // To ask whether a plane is there takes longer.
    SIGNCCL_UNROLL
    for (int j = 0; j < kPlanes; ++j) transposeItems<G, kItemBits>(planes[j]);
    typename G::template PerLane<Counts> result;
    G::each([&](int lane) {
      SIGNCCL_UNROLL
      for (int set = 0; set < Counts::kSets; ++set) {
        SIGNCCL_UNROLL
        for (int j = 0; j < 8; ++j) result[lane].words[set][j] = planes[8 * set + j][lane];
        transposeBits<G, kPlanes>(result[lane].words[set]);
      }
    });
    return result;
  }

 private:
  int nplanes_;
  size_t step_;  ///< from plane to plane, in words of 32 bits
  typename G::template PerLane<const uint32_t*> first_;
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LANE_COUNTS_H_
