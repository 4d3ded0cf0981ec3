// SPDX-License-Identifier: Apache-2.0
// Words of random bits as one lane computes them: a word for the formulas of random_ties.h.
#ifndef SIGNCCL_KERNELS_LANES_LANE_RANDOM_H_
#define SIGNCCL_KERNELS_LANES_LANE_RANDOM_H_

#include "kernels/random_ties.h"

namespace signccl::lanes {

template <typename G>
struct LaneWord {
  uint64_t word;

  SIGNCCL_WORD_OP static LaneWord fill(uint64_t word) { return {word}; }
  SIGNCCL_WORD_OP friend LaneWord operator^(LaneWord a, LaneWord b) { return {a.word ^ b.word}; }
  SIGNCCL_WORD_OP friend LaneWord swapHalves(LaneWord a) { return {a.word << 32 | a.word >> 32}; }
  SIGNCCL_WORD_OP friend LaneWord multiplyLow(LaneWord a, LaneWord b) {
    return {G::multiplyWide(static_cast<uint32_t>(a.word), static_cast<uint32_t>(b.word))};
  }
};

/// T(key, number) of docs/semantics.md, from multiple = number * kTieStep. Counting the number up by a constant is then
/// one sum.
template <typename G>
SIGNCCL_WORD_OP uint64_t randomWord(uint64_t key, uint64_t multiple) {
  return mixTies(LaneWord<G>{multiple ^ key}).word;
}

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_LANE_RANDOM_H_
