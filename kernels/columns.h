// SPDX-License-Identifier: Apache-2.0
// Walks over planes column by column: a column is as many words of each plane as one vector holds. A kernel is one body
// over a column; here it is called for whole vectors and for the rest, so that no kernel has a loop for tails.
//
// A vector word `V` has: kWords; load(const Word*, lanes) and store(Word*, lanes) with lanes AllLanes or FirstLanes;
// fill(Word); operators &, |, ^, ~; andNot(a, b) = a & ~b; and what random_ties.h asks for. Words need no alignment
// beyond their own.
#ifndef SIGNCCL_KERNELS_COLUMNS_H_
#define SIGNCCL_KERNELS_COLUMNS_H_

#include "kernels/kernels.h"
#include "kernels/word_ops.h"

namespace signccl {

/// Every word of a vector.
struct AllLanes {};

/// The first `nwords` words of a vector, fewer than it has; the others are neither read nor written, and load as 0.
struct FirstLanes {
  size_t nwords;
};

/// Two vectors side by side: gives loops over planes more independent work per step.
template <typename H>
struct Pair {
  static constexpr size_t kWords = 2 * H::kWords;
  H low;
  H high;

  SIGNCCL_WORD_OP static Pair load(const Word* words, AllLanes all) {
    return {H::load(words, all), H::load(words + H::kWords, all)};
  }
  SIGNCCL_WORD_OP void store(Word* words, AllLanes all) const {
    low.store(words, all);
    high.store(words + H::kWords, all);
  }
  SIGNCCL_WORD_OP static Pair fill(Word word) { return {H::fill(word), H::fill(word)}; }

  SIGNCCL_WORD_OP friend Pair operator&(Pair a, Pair b) { return {a.low & b.low, a.high & b.high}; }
  SIGNCCL_WORD_OP friend Pair operator|(Pair a, Pair b) { return {a.low | b.low, a.high | b.high}; }
  SIGNCCL_WORD_OP friend Pair operator^(Pair a, Pair b) { return {a.low ^ b.low, a.high ^ b.high}; }
  SIGNCCL_WORD_OP friend Pair operator~(Pair a) { return {~a.low, ~a.high}; }
  SIGNCCL_WORD_OP friend Pair andNot(Pair a, Pair b) { return {andNot(a.low, b.low), andNot(a.high, b.high)}; }
  SIGNCCL_WORD_OP static Pair sequence(uint64_t zeroth, uint64_t step, uint64_t first) {
    return {H::sequence(zeroth, step, first), H::sequence(zeroth, step, first + H::kWords)};
  }
  SIGNCCL_WORD_OP friend Pair operator+(Pair a, Pair b) { return {a.low + b.low, a.high + b.high}; }
  SIGNCCL_WORD_OP friend Pair swapHalves(Pair a) { return {swapHalves(a.low), swapHalves(a.high)}; }
  SIGNCCL_WORD_OP friend Pair multiplyLow(Pair a, Pair b) {
    return {multiplyLow(a.low, b.low), multiplyLow(a.high, b.high)};
  }
  SIGNCCL_WORD_OP friend void fullAdd(Pair a, Pair b, Pair c, Pair& sum, Pair& carry) {
    fullAdd(a.low, b.low, c.low, sum.low, carry.low);
    fullAdd(a.high, b.high, c.high, sum.high, carry.high);
  }
};

/// Where a body works: one vector word of every plane, from word `first` on.
template <typename V, typename Lanes>
struct Column {
  using Vec = V;
  size_t first;
  Lanes lanes;

  SIGNCCL_WORD_OP V load(const Word* plane) const { return V::load(plane + first, lanes); }
  SIGNCCL_WORD_OP void store(Word* plane, V value) const { value.store(plane + first, lanes); }

  /// Plane j, zero beyond the last one.
  SIGNCCL_WORD_OP V load(ConstPlanes planes, int j) const {
    return j < planes.nplanes ? load(planes.words + static_cast<size_t>(j) * planes.stride) : V::fill(0);
  }
  SIGNCCL_WORD_OP void store(Planes planes, int j, V value) const {
    store(planes.words + static_cast<size_t>(j) * planes.stride, value);
  }
};

/// The word of the columns that forEachWideColumn() takes as long as it can.
template <typename V>
using WideWord = Pair<Pair<V>>;

/// Calls body(column) for the columns of words [first, nwords), each column one `V`; the last one may be partial.
template <typename V, typename Body>
SIGNCCL_WORD_OP void forEachColumn(size_t first, size_t nwords, const Body& body) {
  size_t i = first;
  for (; i + V::kWords <= nwords; i += V::kWords) body(Column<V, AllLanes>{i, {}});
  if constexpr (V::kWords > 1) {
    if (i < nwords) body(Column<V, FirstLanes>{i, {nwords - i}});
  }
}

/// The same with four vectors at a time as long as there are four.
template <typename V, typename Body>
SIGNCCL_WORD_OP void forEachWideColumn(size_t nwords, const Body& body) {
  using Wide = WideWord<V>;
  size_t i = 0;
  for (; i + Wide::kWords <= nwords; i += Wide::kWords) body(Column<Wide, AllLanes>{i, {}});
  forEachColumn<V>(i, nwords, body);
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_COLUMNS_H_
