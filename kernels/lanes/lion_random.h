// SPDX-License-Identifier: Apache-2.0
// The random bits by which a Lion kernel rounds the parameters of a tile: 16 for each, so that a random word serves
// four neighbours.
#ifndef SIGNCCL_KERNELS_LANES_LION_RANDOM_H_
#define SIGNCCL_KERNELS_LANES_LION_RANDOM_H_

#include "kernels/lanes/lane_random.h"
#include "kernels/lanes/tiles.h"

namespace signccl::lanes {

/// The random words of a tile; all are 0 unless kIsRandom.
template <bool kIsRandom>
struct TileRandom {
  uint64_t key;
  uint64_t multiple;  ///< of the number of the first one, as in randomWord()

  template <typename G>
  SIGNCCL_WORD_OP uint64_t at(uint64_t number) const {
    return kIsRandom ? randomWord<G>(key, multiple + number * kTieStep) : 0;
  }

  /// Those from word `number` on.
  SIGNCCL_WORD_OP TileRandom from(uint64_t number) const { return {key, multiple + number * kTieStep}; }
};

/// The bits for a lane's elements in kRows single rows, of which the first is `first_row`: bits[i] has those of rows
/// 2 i and 2 i + 1. Of four neighbouring lanes each draws the word of all four for another row, and then they exchange
/// their quarters.
template <typename G, int kRows>
SIGNCCL_WORD_OP void drawForRows(const TileRandom<true>& random, int first_row,
                                 typename G::template PerLane<uint32_t>* bits) {
  constexpr int kWordsOfRow = kLanes / 4;
  SIGNCCL_UNROLL
  for (int r = 0; r < kRows; r += 4) {
    typename G::template PerLane<uint32_t> low, high, sent;
    G::each([&](int lane) {
      const auto number = static_cast<uint32_t>(lane);
      const TileRandom<true> own = random.from(number % 4 * kWordsOfRow + number / 4);
      const uint64_t word = own.template at<G>(static_cast<uint64_t>((first_row + r) * kWordsOfRow));
      low[lane] = static_cast<uint32_t>(word);
      high[lane] = static_cast<uint32_t>(word >> 32);
      sent[lane] = (lane & 2) == 0 ? high[lane] : low[lane];
    });
    const auto received = G::shuffleXor(sent, 2);
    G::each([&](int lane) {
      const bool is_lower = (lane & 2) == 0;
      bits[r / 2][lane] = is_lower ? low[lane] : received[lane];
      bits[r / 2 + 1][lane] = is_lower ? received[lane] : high[lane];
    });
    transposeItems<G, 16>(bits[r / 2]);
    transposeItems<G, 16>(bits[r / 2 + 1]);
  }
}

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LION_RANDOM_H_
