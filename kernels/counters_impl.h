// The kernels that work on finished counters, for every instruction set.
#ifndef SIGNCCL_KERNELS_COUNTERS_IMPL_H_
#define SIGNCCL_KERNELS_COUNTERS_IMPL_H_

#include "kernels/columns.h"
#include "kernels/counter_columns.h"
#include "kernels/kernels.h"

namespace signccl {

/// The columns of a call, four vectors wide as long as there are four.
template <typename V>
struct WideColumns {
  size_t nwords;
  template <typename Body>
  SIGNCCL_WORD_OP void operator()(const Body& body) const {
    forEachWideColumn<V>(nwords, body);
  }
};

template <typename Isa>
void merge(ConstPlanes a, ConstPlanes b, size_t nwords, Planes sum) {
  mergeColumns(WideColumns<typename Isa::Vec>{nwords}, a, b, sum);
}

template <typename Isa>
void clamp(ConstPlanes in, uint64_t low, uint64_t high, size_t nwords, Planes out) {
  clampColumns(WideColumns<typename Isa::Vec>{nwords}, in, low, high, out);
}

template <typename Isa>
void decide(ConstPlanes counts, uint64_t threshold, bool has_ties, TieBits ties, size_t nwords, Word* positive,
            Word* nonnegative) {
  const Limit limit = limitOf(threshold, has_ties, ties);
  const WideColumns<typename Isa::Vec> columns{nwords};
  const TieBits bits = limit.ties;
  if (isOutOfReach(limit, counts.nplanes)) {
    clearColumns(columns, positive, nonnegative);
  } else if (bits.is_random) {
    const RandomTies random{bits.word_or_key, bits.first_word};
    compareColumns(columns, counts, limit.limit, random, positive, nonnegative);
  } else {
    compareColumns(columns, counts, limit.limit, SameTies{bits.word_or_key}, positive, nonnegative);
  }
}

template <typename Isa>
void restoreTop(ConstPlanes low, const Word* own_positive, const Word* own_nonnegative, size_t nwords, Word* top) {
  restoreTopColumns(WideColumns<typename Isa::Vec>{nwords}, low, own_positive, own_nonnegative, top);
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_COUNTERS_IMPL_H_
