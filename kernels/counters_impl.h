// SPDX-License-Identifier: Apache-2.0
// The kernels that work on finished counters, for every instruction set: merge, clamp, decide, restoreTop, over columns
// as wide as there are words for.
#ifndef SIGNCCL_KERNELS_COUNTERS_IMPL_H_
#define SIGNCCL_KERNELS_COUNTERS_IMPL_H_

#include "kernels/columns.h"
#include "kernels/counter_columns.h"
#include "kernels/kernels.h"

namespace signccl {

template <typename Isa>
void merge(ConstPlanes a, ConstPlanes b, size_t nwords, Planes sum) {
  const Addition addition = additionOf(a, b, sum);
  forEachWideColumn<typename Isa::Vec>(nwords, [=](auto column) { mergeColumn(column, addition); });
}

template <typename Isa>
void clamp(ConstPlanes in, uint64_t low, uint64_t high, size_t nwords, Planes out) {
  forEachWideColumn<typename Isa::Vec>(nwords, [=](auto column) { clampColumn(column, in, low, high, out); });
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

template <typename Isa>
void restoreTop(ConstPlanes low, const Word* own_positive, const Word* own_nonnegative, size_t nwords, Word* top) {
  forEachWideColumn<typename Isa::Vec>(
      nwords, [=](auto column) { restoreTopColumn(column, low, own_positive, own_nonnegative, top); });
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_COUNTERS_IMPL_H_
