// The one definition of what is done with finished counters: merge, clamp, decide, restoreTop. For every instruction
// set (counters_impl.h) and for GPUs (lanes/counters.h).
//
// Each function is given `columns`, which calls a body for every column of the call (columns.h). A body loops over
// planes inside its column, and reads all it needs of the column before it overwrites it.
#ifndef SIGNCCL_KERNELS_COUNTER_COLUMNS_H_
#define SIGNCCL_KERNELS_COUNTER_COLUMNS_H_

#include "kernels/columns.h"
#include "kernels/kernels.h"
#include "kernels/random_ties.h"
#include "kernels/word_ops.h"

namespace signccl {

/// Bit j of a constant, for any plane number.
SIGNCCL_WORD_OP bool constantBit(uint64_t constant, int j) { return ((constant >> j) & 1) != 0; }

/// Ripple-carry addition. The lowest plane has no carry in, planes that only one operand has need a half adder.
template <typename Columns>
SIGNCCL_WORD_OP void mergeColumns(const Columns& columns, ConstPlanes a, ConstPlanes b, Planes sum) {
  const int both = a.nplanes < b.nplanes ? a.nplanes : b.nplanes;
  const ConstPlanes longer = a.nplanes < b.nplanes ? b : a;
  const int full = both < sum.nplanes ? both : sum.nplanes;
  columns([=](auto column) {
    using Vec = typename decltype(column)::Vec;
    Vec carry = Vec::fill(0);
    Vec plane;
    SIGNCCL_UNROLL_PLANES
    for (int j = 0; j < full; ++j) {
      fullAdd(column.load(a, j), column.load(b, j), carry, plane, carry);
      column.store(sum, j, plane);
    }
    SIGNCCL_UNROLL_PLANES
    for (int j = full; j < sum.nplanes; ++j) {
      halfAdd(column.load(longer, j), carry, plane, carry);
      column.store(sum, j, plane);
    }
  });
}

/// First pass: compare with both limits. Second pass: subtract `low`, and put the constant high - low where `high` was
/// reached and 0 where `low` was not.
template <typename Columns>
SIGNCCL_WORD_OP void clampColumns(const Columns& columns, ConstPlanes in, uint64_t low, uint64_t high, Planes out) {
  columns([=](auto column) {
    using Vec = typename decltype(column)::Vec;
    Vec at_low = Vec::fill(~Word{0});
    Vec at_high = Vec::fill(~Word{0});
    SIGNCCL_UNROLL_PLANES
    for (int j = 0; j < in.nplanes; ++j) {
      const Vec plane = column.load(in, j);
      at_low = compareStep(at_low, plane, constantBit(low, j));
      at_high = compareStep(at_high, plane, constantBit(high, j));
    }
    if (low >> in.nplanes != 0) at_low = Vec::fill(0);
    if (high >> in.nplanes != 0) at_high = Vec::fill(0);
    const Vec between = andNot(at_low, at_high);
    Vec no_borrow = Vec::fill(~Word{0});
    SIGNCCL_UNROLL_PLANES
    for (int j = 0; j < out.nplanes; ++j) {
      const Vec plane = column.load(in, j);
      const bool low_bit = constantBit(low, j);
      const Vec difference = low_bit ? plane ^ no_borrow : ~(plane ^ no_borrow);
      no_borrow = compareStep(no_borrow, plane, low_bit);
      const Vec inside = difference & between;
      column.store(out, j, constantBit(high - low, j) ? inside | at_high : inside);
    }
  });
}

/// Tie bits of the words of a column: the same word everywhere.
struct SameTies {
  Word word;
  template <typename Column>
  SIGNCCL_WORD_OP auto operator()(const Column&) const {
    return Column::Vec::fill(word);
  }
};

/// Tie bits of the words of a column by the rule `random`.
struct RandomTies {
  uint64_t key;
  uint64_t first_word;
  template <typename Column>
  SIGNCCL_WORD_OP auto operator()(const Column& column) const {
    return randomTieWords<typename Column::Vec>(key, first_word + column.first);
  }
};

/// positive = count > limit, or count == limit and the tie bit is set: one comparison, since a comparison that begins
/// with "at least" where the tie bit is set and with "more" elsewhere ends so. nonnegative = count >= limit.
template <bool kNonnegative, typename Columns, typename Ties>
SIGNCCL_WORD_OP void compareColumns(const Columns& columns, ConstPlanes counts, uint64_t limit, Ties ties,
                                    Word* positive, Word* nonnegative) {
  columns([=](auto column) {
    using Vec = typename decltype(column)::Vec;
    Vec won = ties(column);
    [[maybe_unused]] Vec at_least = Vec::fill(~Word{0});
    SIGNCCL_UNROLL_PLANES
    for (int j = 0; j < counts.nplanes; ++j) {
      const Vec plane = column.load(counts, j);
      won = compareStep(won, plane, constantBit(limit, j));
      if constexpr (kNonnegative) at_least = compareStep(at_least, plane, constantBit(limit, j));
    }
    column.store(positive, won);
    if constexpr (kNonnegative) column.store(nonnegative, at_least);
  });
}

template <typename Columns, typename Ties>
SIGNCCL_WORD_OP void compareColumns(const Columns& columns, ConstPlanes counts, uint64_t limit, Ties ties,
                                    Word* positive, Word* nonnegative) {
  if (nonnegative != nullptr) {
    compareColumns<true>(columns, counts, limit, ties, positive, nonnegative);
  } else {
    compareColumns<false>(columns, counts, limit, ties, positive, nonnegative);
  }
}

/// What counts are compared with: a count above `limit` has won, one at the limit has the tie bits.
struct Limit {
  uint64_t limit;
  TieBits ties;
};

/// True if `nplanes` planes hold no such count.
SIGNCCL_WORD_OP bool isOutOfReach(Limit limit, int nplanes) { return limit.limit >> nplanes != 0; }

/// Where no tie is possible, a count at the threshold has won: its tie bits are ones.
SIGNCCL_WORD_OP Limit limitOf(uint64_t threshold, bool has_ties, TieBits ties) {
  if (has_ties && threshold > 0) return {threshold - 1, ties};
  return {threshold, sameTies(~Word{0})};
}

/// compareColumns() where no count can exceed or reach the limit.
template <typename Columns>
SIGNCCL_WORD_OP void clearColumns(const Columns& columns, Word* positive, Word* nonnegative) {
  columns([=](auto column) {
    const auto zero = decltype(column)::Vec::fill(0);
    column.store(positive, zero);
    if (nonnegative != nullptr) column.store(nonnegative, zero);
  });
}

/// The number is low, or low + 2^p where low < own: so top = (low < own), with own = 0, 1 or 2.
template <typename Columns>
SIGNCCL_WORD_OP void restoreTopColumns(const Columns& columns, ConstPlanes low, const Word* own_positive,
                                       const Word* own_nonnegative, Word* top) {
  columns([=](auto column) {
    using Vec = typename decltype(column)::Vec;
    Vec two_or_more = Vec::fill(0);
    SIGNCCL_UNROLL_PLANES
    for (int j = 1; j < low.nplanes; ++j) two_or_more = two_or_more | column.load(low, j);
    const Vec lowest = column.load(low, 0);
    const Vec nonnegative = column.load(own_nonnegative);
    if (own_positive == nullptr) {
      column.store(top, andNot(nonnegative, two_or_more | lowest));
    } else {
      const Vec positive = column.load(own_positive);
      const Vec own_two = positive & nonnegative;
      const Vec own_one = positive ^ nonnegative;
      column.store(top, andNot(own_two | andNot(own_one, lowest), two_or_more));
    }
  });
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_COUNTER_COLUMNS_H_
