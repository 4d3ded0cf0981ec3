// SPDX-License-Identifier: Apache-2.0
// The one definition of `count`, for every instruction set.
//
// Up to kCountBlock inputs: one carry-save tree per column, every counter in registers. More: the lowest planes take
// kCountBlock votes at a time with one full adder per vote, and each block carries one bit into the planes above.
#ifndef SIGNCCL_KERNELS_COUNT_IMPL_H_
#define SIGNCCL_KERNELS_COUNT_IMPL_H_

#include "kernels/columns.h"
#include "kernels/kernels.h"
#include "kernels/tuning.h"
#include "kernels/word_ops.h"

namespace signccl {

/// The votes of consecutive inputs in one column.
template <typename Column>
struct InputVotes {
  const Word* const* inputs;
  Column column;
  SIGNCCL_WORD_OP typename Column::Vec operator()(int k) const { return column.load(inputs[k]); }
};

template <int kPlane, int kPlanes, typename Column>
SIGNCCL_WORD_OP void storePlanes(const Column& column, const typename Column::Vec* values, Planes planes) {
  if constexpr (kPlane < kPlanes) {
    column.store(planes, kPlane, values[kPlane]);
    storePlanes<kPlane + 1, kPlanes>(column, values, planes);
  }
}

/// Counts exactly kInputs inputs.
template <typename Isa, int kInputs>
void countFew(const Word* const* inputs, size_t nwords, Planes counts) {
  // A copy, so that the compiler need not read the pointers again after every store to the counts.
  const Word* own_inputs[kInputs + 1];
  for (int k = 0; k < kInputs; ++k) own_inputs[k] = inputs[k];
  forEachColumn<typename Isa::Vec>(0, nwords, [&](auto column) {
    using Vec = typename decltype(column)::Vec;
    constexpr int kPlanes = planesFor(kInputs);
    Vec planes[kPlanes + 1];
    sumVotes<kInputs>(InputVotes<decltype(column)>{own_inputs, column}, planes);
    storePlanes<0, kPlanes>(column, planes, counts);
  });
}

template <typename Isa, int kInputs = 0>
void countFewDispatch(const Word* const* inputs, int ninputs, size_t nwords, Planes counts) {
  if (ninputs == kInputs) {
    countFew<Isa, kInputs>(inputs, nwords, counts);
  } else if constexpr (kInputs < kCountBlock) {
    countFewDispatch<Isa, kInputs + 1>(inputs, ninputs, nwords, counts);
  }
}

/// Adds kVotes inputs to counters of which `live` planes will be in use afterwards.
template <int kVotes, typename Column>
SIGNCCL_WORD_OP void accumulate(const Column& column, const Word* const* inputs, typename Column::Vec* planes,
                                int live) {
  constexpr int kLow = planesFor(kVotes) - 1;
  const typename Column::Vec carry = addVotes<kVotes>(InputVotes<Column>{inputs, column}, planes);
  addCarry(carry, planes + kLow, live - kLow);
}

/// Counters of the columns of one tile, and what was added to them so far.
template <typename V>
struct CountTile {
  static constexpr size_t kColumns = (kCountTileWords + V::kWords - 1) / V::kWords;
  static constexpr int kPlanes = planesFor(kMaxCountInputs);
  V counters[kColumns][kPlanes];
  const Word* const* next_input;
  int votes = 0;
  int live = 0;

  /// Adds the next kVotes inputs to the counters of words [first, last).
  template <int kVotes>
  SIGNCCL_WORD_OP void add(size_t first, size_t last) {
    votes += kVotes;
    while (votes >> live != 0) ++live;
    forEachColumn<V>(first, last, [&](auto column) {
      accumulate<kVotes>(column, next_input, counters[(column.first - first) / V::kWords], live);
    });
    next_input += kVotes;
  }
};

template <typename Isa>
void countMany(const Word* const* inputs, int ninputs, size_t nwords, Planes counts) {
  using Vec = typename Isa::Vec;
  for (size_t first = 0; first < nwords; first += kCountTileWords) {
    const size_t last = nwords - first < kCountTileWords ? nwords : first + kCountTileWords;
    CountTile<Vec> tile;
    tile.next_input = inputs;
    for (auto& column : tile.counters) {
      for (int j = 0; j < counts.nplanes; ++j) column[j] = Vec::fill(0);
    }
    // What is left over beside whole blocks, by the bits of its number.
    static_assert(kCountBlock == 16);
    if (ninputs & 8) tile.template add<8>(first, last);
    if (ninputs & 4) tile.template add<4>(first, last);
    if (ninputs & 2) tile.template add<2>(first, last);
    if (ninputs & 1) tile.template add<1>(first, last);
    for (int block = 0; block < ninputs / kCountBlock; ++block) tile.template add<kCountBlock>(first, last);
    forEachColumn<Vec>(first, last, [&](auto column) {
      const Vec* counters = tile.counters[(column.first - first) / Vec::kWords];
      for (int j = 0; j < counts.nplanes; ++j) column.store(counts, j, counters[j]);
    });
  }
}

template <typename Isa>
void count(const Word* const* inputs, int ninputs, size_t nwords, Planes counts) {
  if (ninputs <= kCountBlock) {
    countFewDispatch<Isa>(inputs, ninputs, nwords, counts);
  } else {
    countMany<Isa>(inputs, ninputs, nwords, counts);
  }
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_COUNT_IMPL_H_
