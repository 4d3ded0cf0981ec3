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

template <typename Isa, bool kNonnegative, typename Ties>
void decidePlanes(ConstPlanes counts, uint64_t limit, Ties ties, size_t nwords, Word* positive, Word* nonnegative) {
  forEachWideColumn<typename Isa::Vec>(
      nwords, [=](auto column) { decideColumn<kNonnegative>(column, counts, limit, ties, positive, nonnegative); });
}

/// In functions of their own: where GCC 12 makes one function of both loops, they are up to 8 % slower.
template <typename Isa, bool kNonnegative>
[[gnu::noinline]] void decidePlanesAtRandom(ConstPlanes counts, uint64_t limit, TieBits ties, size_t nwords,
                                            Word* positive, Word* nonnegative) {
  const RandomTies random{ties.word_or_key, ties.first_word};
  decidePlanes<Isa, kNonnegative>(counts, limit, random, nwords, positive, nonnegative);
}

template <typename Isa, bool kNonnegative>
void decideBy(TieBits ties, ConstPlanes counts, uint64_t limit, size_t nwords, Word* positive, Word* nonnegative) {
  if (ties.is_random) {
    decidePlanesAtRandom<Isa, kNonnegative>(counts, limit, ties, nwords, positive, nonnegative);
  } else {
    decidePlanes<Isa, kNonnegative>(counts, limit, SameTies{ties.word_or_key}, nwords, positive, nonnegative);
  }
}

SIGNCCL_WORD_OP void clearWords(Word* words, size_t nwords) {
  for (size_t i = 0; i < nwords; ++i) words[i] = 0;
}

template <typename Isa>
void decide(ConstPlanes counts, uint64_t threshold, bool has_ties, TieBits ties, size_t nwords, Word* positive,
            Word* nonnegative) {
  const bool can_tie = has_ties && threshold > 0;
  const uint64_t limit = can_tie ? threshold - 1 : threshold;
  const TieBits bits = can_tie ? ties : sameTies(~Word{0});
  if (limit >> counts.nplanes != 0) {  // more than the planes can hold
    clearWords(positive, nwords);
    if (nonnegative != nullptr) clearWords(nonnegative, nwords);
  } else if (nonnegative != nullptr) {
    decideBy<Isa, true>(bits, counts, limit, nwords, positive, nonnegative);
  } else {
    decideBy<Isa, false>(bits, counts, limit, nwords, positive, nonnegative);
  }
}

template <typename Isa>
void restoreTop(ConstPlanes low, const Word* own_positive, const Word* own_nonnegative, size_t nwords, Word* top) {
  forEachWideColumn<typename Isa::Vec>(
      nwords, [=](auto column) { restoreTopColumn(column, low, own_positive, own_nonnegative, top); });
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_COUNTERS_IMPL_H_
