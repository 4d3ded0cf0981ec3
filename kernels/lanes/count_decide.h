// SPDX-License-Identifier: Apache-2.0
// Votes -> result in one pass: Kernels::count() and decide() of the few inputs of one chunk, whose counts are never
// written.
#ifndef SIGNCCL_KERNELS_LANES_COUNT_DECIDE_H_
#define SIGNCCL_KERNELS_LANES_COUNT_DECIDE_H_

#include "kernels/lanes/count.h"
#include "kernels/lanes/counters.h"

namespace signccl::lanes {

/// Exactly kInputs inputs.
template <int kInputs>
struct CountDecideBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const CountDecideArguments& arguments, WarpIndex warp) {
    const Decision& decision = arguments.decision;
    const Limit limit = limitOf<G>(decision);
    const bool is_aligned = areAlignedToQuads<G>(arguments.inputs) && isAlignedToQuads(decision.positive) &&
                            isAlignedToQuads(decision.nonnegative);
    forEachColumn<G>(warp, arguments.nwords, is_aligned, [&](auto column) {
      using Vec = typename decltype(column)::Vec;
      constexpr int kPlanes = planesFor(kInputs);
      Vec planes[kPlanes];
      sumVotes<kInputs>(InputVotes<G, decltype(column)>{arguments.inputs, 0, column}, planes);
      Vec won = AnyTies{limit.ties}(column);
      Vec at_least = Vec::fill(~Word{0});
      SIGNCCL_UNROLL
      for (int j = 0; j < kPlanes; ++j) {
        won = compareStep(won, planes[j], constantBit(limit.limit, j));
        at_least = compareStep(at_least, planes[j], constantBit(limit.limit, j));
      }
      if (limit.limit >> kPlanes != 0) {  // more than the planes can hold
        won = Vec::fill(0);
        at_least = Vec::fill(0);
      }
      column.store(decision.positive, won);
      if (decision.nonnegative != nullptr) column.store(decision.nonnegative, at_least);
    });
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_COUNT_DECIDE_H_
