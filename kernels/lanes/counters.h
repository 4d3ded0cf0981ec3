// What is done with finished counters; Kernels::merge(), clamp(), decide() and restoreTop().
#ifndef SIGNCCL_KERNELS_LANES_COUNTERS_H_
#define SIGNCCL_KERNELS_LANES_COUNTERS_H_

#include "kernels/counter_columns.h"
#include "kernels/device/arguments.h"
#include "kernels/lanes/columns.h"

namespace signccl::lanes {

struct MergeBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const MergeArguments& arguments, WarpIndex warp) {
    const auto& [a, b, nwords, sum] = arguments;
    const bool is_aligned = isAlignedToQuads(a) && isAlignedToQuads(b) && isAlignedToQuads(readable(sum));
    mergeColumns(LaneColumns<G>{warp, nwords, is_aligned}, a, b, sum);
  }
};

struct ClampBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const ClampArguments& arguments, WarpIndex warp) {
    const auto& [in, low, high, nwords, out] = arguments;
    const bool is_aligned = isAlignedToQuads(in) && isAlignedToQuads(readable(out));
    clampColumns(LaneColumns<G>{warp, nwords, is_aligned}, in, low, high, out);
  }
};

/// Tie bits of the words of a column by either rule: all lanes take the same branch, and code is saved.
struct AnyTies {
  TieBits ties;
  template <typename Column>
  SIGNCCL_WORD_OP auto operator()(const Column& column) const {
    if (ties.is_random) return RandomTies{ties.word_or_key, ties.first_word}(column);
    return SameTies{ties.word_or_key}(column);
  }
};

struct DecideBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const DecideArguments& arguments, WarpIndex warp) {
    const auto& [counts, decision, nwords] = arguments;
    const bool is_aligned =
        isAlignedToQuads(counts) && isAlignedToQuads(decision.positive) && isAlignedToQuads(decision.nonnegative);
    const Limit limit = limitOf(decision.threshold, decision.has_ties, decision.ties);
    const LaneColumns<G> columns{warp, nwords, is_aligned};
    if (isOutOfReach(limit, counts.nplanes)) {
      clearColumns(columns, decision.positive, decision.nonnegative);
    } else {
      compareColumns(columns, counts, limit.limit, AnyTies{limit.ties}, decision.positive, decision.nonnegative);
    }
  }
};

struct RestoreTopBody {
  template <typename G>
  SIGNCCL_WORD_OP static void run(const RestoreTopArguments& arguments, WarpIndex warp) {
    const auto& [low, own_positive, own_nonnegative, nwords, top] = arguments;
    const bool is_aligned = isAlignedToQuads(low) && isAlignedToQuads(own_positive) &&
                            isAlignedToQuads(own_nonnegative) && isAlignedToQuads(top);
    restoreTopColumns(LaneColumns<G>{warp, nwords, is_aligned}, low, own_positive, own_nonnegative, top);
  }
};

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_COUNTERS_H_
