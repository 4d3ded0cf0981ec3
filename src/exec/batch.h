// SPDX-License-Identifier: Apache-2.0
// What one exchange works on: the data of one collective, or of several that travel together.
#ifndef SIGNCCL_EXEC_BATCH_H_
#define SIGNCCL_EXEC_BATCH_H_

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "base/types.h"
#include "exec/ends.h"
#include "exec/external_ends.h"
#include "kernels/kernels.h"
#include "schedule/width.h"

namespace signccl {

/// The data of one call. Its signs are words [word_begin, word_begin + nwords) of the batch, so calls never share a
/// word.
struct Segment {
  Source source;
  Sink sink;
  std::size_t count = 0;         ///< elements
  std::uint64_t call = 0;        ///< number of the call in its communicator, which keys random ties
  std::uint64_t first_word = 0;  ///< number of its first word among those of the call, which keys them too
  std::size_t word_begin = 0;
  std::size_t nwords = 0;
};

struct Batch {
  std::uint64_t exchange = 0;
  /// This rank forbids the sinks of all ranks to take the result. Votes are exchanged all the same, so that nobody
  /// waits; see Engine::notes().
  bool vetoes = false;
  /// An exchange of sums, counted as an average is. Sources check their values, and sinks take sums instead of means;
  /// see notes.h. Has kMaxSumSegments at most.
  bool is_sum = false;
  /// Of sums: when sinks take results. True: slice by slice, the same on all ranks, so if values do not fit, some
  /// results are taken and others are not. False: not before all ranks have agreed that all values fit.
  bool discards_misfits = false;
  /// Who encodes and decodes, if not the sources and sinks of the segments: those then only say what the ends are, and
  /// need not outlive the call that queues the exchange. Not owned.
  ExternalEnds* ends = nullptr;
  std::uint64_t digest = 0;  ///< of what this rank has called as this exchange; goes into the tags
  CountRules rules;
  TieRule tie = TieRule::kRandom;
  std::size_t nwords = 0;
  std::vector<Segment> segments;

  void clear() {
    segments.clear();
    nwords = 0;
    is_sum = false;
    discards_misfits = false;
    ends = nullptr;
  }

  /// Appends a segment; its word range is set here.
  void add(Segment segment) {
    segment.word_begin = nwords;
    segment.nwords = wordsFor(segment.count);
    nwords += segment.nwords;
    segments.push_back(segment);
  }

  /// True if a first message must say what all values of this rank are, so that all are encoded before it is sent.
  [[nodiscard]] bool mustCheckFirst() const { return ends == nullptr && is_sum && !discards_misfits; }

  /// True if all slices must be encoded before any is decoded.
  [[nodiscard]] bool mustEncodeFirst() const {
    return mustCheckFirst() || (ends == nullptr && std::ranges::any_of(segments, overwritesUnread));
  }

  /// Bytes of user memory that the exchange reads and writes.
  [[nodiscard]] std::size_t userBytes() const {
    return std::accumulate(segments.begin(), segments.end(), std::size_t{0},
                           [](std::size_t sum, const Segment& segment) { return sum + bytesTouched(segment); });
  }
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_BATCH_H_
