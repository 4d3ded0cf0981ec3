// SPDX-License-Identifier: Apache-2.0
// The one definition of what is done with finished counters, in one column (columns.h): for every instruction set
// (counters_impl.h) and for GPUs (lanes/counters.h). Every function reads all it needs of the column before it
// overwrites it.
#ifndef SIGNCCL_KERNELS_COUNTER_COLUMNS_H_
#define SIGNCCL_KERNELS_COUNTER_COLUMNS_H_

#include "kernels/columns.h"
#include "kernels/kernels.h"
#include "kernels/random_ties.h"
#include "kernels/word_ops.h"

namespace signccl {

/// Bit j of a constant, for any plane number.
SIGNCCL_WORD_OP bool constantBit(uint64_t constant, int j) { return ((constant >> j) & 1) != 0; }

/// Kernels::merge(), with what is the same for all columns.
struct Addition {
  ConstPlanes a;
  ConstPlanes b;
  ConstPlanes longer;
  int full;  ///< planes that both operands have, and the sum
  Planes sum;
};

SIGNCCL_WORD_OP Addition additionOf(ConstPlanes a, ConstPlanes b, Planes sum) {
  const int both = a.nplanes < b.nplanes ? a.nplanes : b.nplanes;
  return {a, b, a.nplanes < b.nplanes ? b : a, both < sum.nplanes ? both : sum.nplanes, sum};
}

/// Ripple-carry addition. The lowest plane has no carry in, planes that only one operand has need a half adder.
template <typename Column>
SIGNCCL_WORD_OP void mergeColumn(Column column, Addition addition) {
  using Vec = typename Column::Vec;
  Vec carry = Vec::fill(0);
  Vec plane;
  SIGNCCL_UNROLL_PLANES
  for (int j = 0; j < addition.full; ++j) {
    fullAdd(column.load(addition.a, j), column.load(addition.b, j), carry, plane, carry);
    column.store(addition.sum, j, plane);
  }
  SIGNCCL_UNROLL_PLANES
  for (int j = addition.full; j < addition.sum.nplanes; ++j) {
    halfAdd(column.load(addition.longer, j), carry, plane, carry);
    column.store(addition.sum, j, plane);
  }
}

/// First pass: compare with both limits. Second pass: subtract `low`, and put the constant high - low where `high` was
/// reached and 0 where `low` was not.
template <typename Column>
SIGNCCL_WORD_OP void clampColumn(Column column, ConstPlanes in, uint64_t low, uint64_t high, Planes out) {
  using Vec = typename Column::Vec;
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
}

/// What counts are compared with: numbers of `nplanes` bits.
struct AnyLimit {
  uint64_t value;
  int nplanes;
};

/// The same known to the compiler, which then writes the comparison without loops and branches.
template <uint64_t kValue, int kPlanes>
struct KnownLimit {
  // Named as in AnyLimit. NOLINTBEGIN(readability-identifier-naming)
  static constexpr uint64_t value = kValue;
  static constexpr int nplanes = kPlanes;
  // NOLINTEND(readability-identifier-naming)
};

/// Where votes go; nonnegative is nullptr if it is not wanted.
struct VotePlanes {
  Word* positive;
  Word* nonnegative;
};

/// positive = count > limit, or count == limit and the tie bit is set: one comparison, since a comparison that begins
/// with "at least" where the tie bit is set and with "more" elsewhere ends so. nonnegative = count >= limit.
template <bool kNonnegative, typename Column, typename Limit>
SIGNCCL_WORD_OP void decideColumn(const Column& column, ConstPlanes counts, Limit limit, typename Column::Vec ties,
                                  VotePlanes votes) {
  using Vec = typename Column::Vec;
  Vec won = ties;
  [[maybe_unused]] Vec at_least = Vec::fill(~Word{0});
  counts.nplanes = limit.nplanes;
  SIGNCCL_UNROLL_PLANES
  for (int j = 0; j < limit.nplanes; ++j) {
    const Vec plane = column.load(counts, j);
    won = compareStep(won, plane, constantBit(limit.value, j));
    if constexpr (kNonnegative) at_least = compareStep(at_least, plane, constantBit(limit.value, j));
  }
  column.store(votes.positive, won);
  if constexpr (kNonnegative) column.store(votes.nonnegative, at_least);
}

/// The number is low, or low + 2^p where low < own: so top = (low < own), with own = 0, 1 or 2.
template <typename Column>
SIGNCCL_WORD_OP void restoreTopColumn(Column column, ConstPlanes low, const Word* own_positive,
                                      const Word* own_nonnegative, Word* top) {
  using Vec = typename Column::Vec;
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
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_COUNTER_COLUMNS_H_
