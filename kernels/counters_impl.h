// The one definition of the kernels that work on finished counters: merge, clamp, decide, restoreTop.
// Every one loops over planes inside a wide column, and reads all it needs of a column before it overwrites it.
#ifndef SIGNCCL_KERNELS_COUNTERS_IMPL_H_
#define SIGNCCL_KERNELS_COUNTERS_IMPL_H_

#include "kernels/columns.h"
#include "kernels/kernels.h"
#include "kernels/random_ties.h"
#include "kernels/word_ops.h"

namespace signccl {

/// Bit j of a constant, for any plane number.
SIGNCCL_WORD_OP bool constantBit(uint64_t constant, int j) { return ((constant >> j) & 1) != 0; }

/// Ripple-carry addition. The lowest plane has no carry in, planes that only one operand has need a half adder.
template <typename Isa>
void merge(ConstPlanes a, ConstPlanes b, size_t nwords, Planes sum) {
  const int both = a.nplanes < b.nplanes ? a.nplanes : b.nplanes;
  const ConstPlanes longer = a.nplanes < b.nplanes ? b : a;
  const int full = both < sum.nplanes ? both : sum.nplanes;
  forEachWideColumn<typename Isa::Vec>(nwords, [=](auto column) {
    using Vec = typename decltype(column)::Vec;
    Vec carry = Vec::fill(0);
    Vec plane;
    for (int j = 0; j < full; ++j) {
      fullAdd(column.load(a, j), column.load(b, j), carry, plane, carry);
      column.store(sum, j, plane);
    }
    for (int j = full; j < sum.nplanes; ++j) {
      halfAdd(column.load(longer, j), carry, plane, carry);
      column.store(sum, j, plane);
    }
  });
}

/// First pass: compare with both limits. Second pass: subtract `low`, and put the constant high - low where `high` was
/// reached and 0 where `low` was not.
template <typename Isa>
void clamp(ConstPlanes in, uint64_t low, uint64_t high, size_t nwords, Planes out) {
  forEachWideColumn<typename Isa::Vec>(nwords, [=](auto column) {
    using Vec = typename decltype(column)::Vec;
    Vec at_low = Vec::fill(~Word{0});
    Vec at_high = Vec::fill(~Word{0});
    for (int j = 0; j < in.nplanes; ++j) {
      const Vec plane = column.load(in, j);
      at_low = compareStep(at_low, plane, constantBit(low, j));
      at_high = compareStep(at_high, plane, constantBit(high, j));
    }
    if (low >> in.nplanes != 0) at_low = Vec::fill(0);
    if (high >> in.nplanes != 0) at_high = Vec::fill(0);
    const Vec between = andNot(at_low, at_high);
    Vec no_borrow = Vec::fill(~Word{0});
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

/// What counts are compared with: numbers of `nplanes` bits.
struct AnyLimit {
  uint64_t value;
  int nplanes;
};

/// The same known to the compiler, which then writes the comparison without loops and branches.
template <uint64_t kValue, int kPlanes>
struct KnownLimit {
  static constexpr uint64_t value = kValue;
  static constexpr int nplanes = kPlanes;
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
  for (int j = 0; j < limit.nplanes; ++j) {
    const Vec plane = column.load(counts, j);
    won = compareStep(won, plane, constantBit(limit.value, j));
    if constexpr (kNonnegative) at_least = compareStep(at_least, plane, constantBit(limit.value, j));
  }
  column.store(votes.positive, won);
  if constexpr (kNonnegative) column.store(votes.nonnegative, at_least);
}

/// The wide columns of words [0, nwords).
template <typename Isa, bool kRandom, bool kNonnegative, typename Limit>
void decideWide(ConstPlanes counts, Limit limit, TieBits ties, size_t nwords, VotePlanes votes) {
  using Wide = WideWord<typename Isa::Vec>;
  [[maybe_unused]] RandomTieStream<Wide> stream(ties.word_or_key, ties.first_word);
  for (size_t i = 0; i + Wide::kWords <= nwords; i += Wide::kWords) {
    const Column<Wide, AllLanes> column{i, {}};
    if constexpr (kRandom) {
      decideColumn<kNonnegative>(column, counts, limit, stream.next(), votes);
    } else {
      decideColumn<kNonnegative>(column, counts, limit, Wide::fill(ties.word_or_key), votes);
    }
  }
}

/// The words from `first` on.
template <typename Isa, bool kRandom, bool kNonnegative>
SIGNCCL_WORD_OP void decideRest(ConstPlanes counts, AnyLimit limit, TieBits ties, size_t first, size_t nwords,
                                VotePlanes votes) {
  forEachColumn<typename Isa::Vec>(first, nwords, [=](auto column) {
    using Vec = typename decltype(column)::Vec;
    if constexpr (kRandom) {
      const Vec bits = randomTieWords<Vec>(ties.word_or_key, ties.first_word + column.first);
      decideColumn<kNonnegative>(column, counts, limit, bits, votes);
    } else {
      decideColumn<kNonnegative>(column, counts, limit, Vec::fill(ties.word_or_key), votes);
    }
  });
}

template <typename Isa, bool kRandom, bool kNonnegative>
SIGNCCL_WORD_OP void decideWords(ConstPlanes counts, AnyLimit limit, TieBits ties, size_t nwords, VotePlanes votes) {
  constexpr size_t kWide = WideWord<typename Isa::Vec>::kWords;
  if (nwords >= kWide) {
    if (limit.nplanes == 2 && limit.value == 1) {  // 2 ranks, binary signs
      decideWide<Isa, kRandom, kNonnegative>(counts, KnownLimit<1, 2>{}, ties, nwords, votes);
    } else if (limit.nplanes == 3 && limit.value == 2) {  // 4 ranks
      decideWide<Isa, kRandom, kNonnegative>(counts, KnownLimit<2, 3>{}, ties, nwords, votes);
    } else if (limit.nplanes == 4 && limit.value == 4) {  // 8 ranks
      decideWide<Isa, kRandom, kNonnegative>(counts, KnownLimit<4, 4>{}, ties, nwords, votes);
    } else {
      decideWide<Isa, kRandom, kNonnegative>(counts, limit, ties, nwords, votes);
    }
  }
  decideRest<Isa, kRandom, kNonnegative>(counts, limit, ties, nwords - nwords % kWide, nwords, votes);
}

template <typename Isa, bool kRandom>
SIGNCCL_WORD_OP void decideBy(ConstPlanes counts, AnyLimit limit, TieBits ties, size_t nwords, VotePlanes votes) {
  if (votes.nonnegative != nullptr) {
    decideWords<Isa, kRandom, true>(counts, limit, ties, nwords, votes);
  } else {
    decideWords<Isa, kRandom, false>(counts, limit, ties, nwords, votes);
  }
}

SIGNCCL_WORD_OP void clearWords(Word* words, size_t nwords) {
  for (size_t i = 0; i < nwords; ++i) words[i] = 0;
}

template <typename Isa>
void decide(ConstPlanes counts, uint64_t threshold, bool has_ties, TieBits ties, size_t nwords, Word* positive,
            Word* nonnegative) {
  const bool can_tie = has_ties && threshold > 0;
  const AnyLimit limit{can_tie ? threshold - 1 : threshold, counts.nplanes};
  if (limit.value >> limit.nplanes != 0) {  // more than the planes can hold
    clearWords(positive, nwords);
    if (nonnegative != nullptr) clearWords(nonnegative, nwords);
  } else if (can_tie && ties.is_random) {
    decideBy<Isa, true>(counts, limit, ties, nwords, {positive, nonnegative});
  } else {
    decideBy<Isa, false>(counts, limit, can_tie ? ties : sameTies(~Word{0}), nwords, {positive, nonnegative});
  }
}

/// The number is low, or low + 2^p where low < own: so top = (low < own), with own = 0, 1 or 2.
template <typename Isa>
void restoreTop(ConstPlanes low, const Word* own_positive, const Word* own_nonnegative, size_t nwords, Word* top) {
  forEachWideColumn<typename Isa::Vec>(nwords, [=](auto column) {
    using Vec = typename decltype(column)::Vec;
    Vec two_or_more = Vec::fill(0);
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

#endif  // SIGNCCL_KERNELS_COUNTERS_IMPL_H_
