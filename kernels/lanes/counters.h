// SPDX-License-Identifier: Apache-2.0
// What is done with finished counters; Kernels::merge(), clamp(), decide() and restoreTop().
#ifndef SIGNCCL_KERNELS_LANES_COUNTERS_H_
#define SIGNCCL_KERNELS_LANES_COUNTERS_H_

#include "kernels/counter_columns.h"
#include "kernels/device/arguments.h"
#include "kernels/lanes/columns.h"

namespace signccl::lanes {

/// What counts are compared with: one above `limit` has won, one at the limit has the tie bits.
struct Limit {
  uint64_t limit;
  TieBits ties;
};

/// The tie bits of a call, or of a replay of it.
template <typename G>
SIGNCCL_WORD_OP TieBits tiesOf(const Decision& decision) {
  TieBits ties = decision.ties;
  if (decision.replay != nullptr) ties.word_or_key = tieKey(replayCall(ties.word_or_key, G::load(decision.replay)));
  return ties;
}

/// Where no tie is possible, a count at the threshold has won.
template <typename G>
SIGNCCL_WORD_OP Limit limitOf(const Decision& decision) {
  if (decision.has_ties && decision.threshold > 0) return {decision.threshold - 1, tiesOf<G>(decision)};
  return {decision.threshold, sameTies(~Word{0})};
}

struct MergeBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const MergeArguments& arguments, WarpIndex warp) {
    const Addition addition = additionOf(arguments.a, arguments.b, arguments.sum);
    const bool is_aligned =
        isAlignedToQuads(addition.a) && isAlignedToQuads(addition.b) && isAlignedToQuads(readable(addition.sum));
    forEachColumn<G>(warp, arguments.nwords, is_aligned, [&](auto column) { mergeColumn(column, addition); });
  }
};

struct ClampBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const ClampArguments& arguments, WarpIndex warp) {
    const bool is_aligned = isAlignedToQuads(arguments.in) && isAlignedToQuads(readable(arguments.out));
    forEachColumn<G>(warp, arguments.nwords, is_aligned, [&](auto column) {
      clampColumn(column, arguments.in, arguments.low, arguments.high, arguments.out);
    });
  }
};

/// Tie bits of the words of a column by either rule: all lanes take the same branch, and code is saved.
struct AnyTies {
  TieBits ties;
  template <typename Column>
  SIGNCCL_WORD_OP auto operator()(const Column& column) const {
    if (ties.is_random) return randomTieWords<typename Column::Vec>(ties.word_or_key, ties.first_word + column.first);
    return Column::Vec::fill(ties.word_or_key);
  }
};

struct DecideBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const DecideArguments& arguments, WarpIndex warp) {
    if (arguments.decision.nonnegative != nullptr) {
      decide<G, true>(arguments, warp);
    } else {
      decide<G, false>(arguments, warp);
    }
  }

 private:
  template <typename G, bool kNonnegative>
  SIGNCCL_WORD_OP static void decide(const DecideArguments& arguments, WarpIndex warp) {
    const ConstPlanes counts = arguments.counts;
    const Decision& decision = arguments.decision;
    const Limit limit = limitOf<G>(decision);
    const bool is_reachable = limit.limit >> counts.nplanes == 0;
    const bool is_aligned =
        isAlignedToQuads(counts) && isAlignedToQuads(decision.positive) && isAlignedToQuads(decision.nonnegative);
    forEachColumn<G>(warp, arguments.nwords, is_aligned, [&](auto column) {
      using Vec = typename decltype(column)::Vec;
      if (is_reachable) {
        const AnyTies ties{limit.ties};
        decideColumn<kNonnegative>(column, counts, AnyLimit{limit.limit, counts.nplanes}, ties(column),
                                   VotePlanes{decision.positive, decision.nonnegative});
      } else {
        column.store(decision.positive, Vec::fill(0));
        if constexpr (kNonnegative) column.store(decision.nonnegative, Vec::fill(0));
      }
    });
  }
};

struct RestoreTopBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const RestoreTopArguments& arguments, WarpIndex warp) {
    const bool is_aligned = isAlignedToQuads(arguments.low) && isAlignedToQuads(arguments.own_positive) &&
                            isAlignedToQuads(arguments.own_nonnegative) && isAlignedToQuads(arguments.top);
    forEachColumn<G>(warp, arguments.nwords, is_aligned, [&](auto column) {
      restoreTopColumn(column, arguments.low, arguments.own_positive, arguments.own_nonnegative, arguments.top);
    });
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_COUNTERS_H_
