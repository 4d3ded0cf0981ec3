// SPDX-License-Identifier: Apache-2.0
// Parts of segments within a range of words of their batch.
#ifndef SIGNCCL_EXEC_PIECES_H_
#define SIGNCCL_EXEC_PIECES_H_

#include <algorithm>
#include <cstddef>

#include "exec/batch.h"

namespace signccl {

/// Part of a segment.
struct Piece {
  const Segment& segment;
  std::size_t index;    ///< of the segment
  std::size_t element;  ///< first element
  std::size_t count;    ///< elements
  std::size_t word;     ///< its first word, counted from the beginning of the range that was asked for
};

/// Visits the pieces of all segments within words [begin, begin + size) of the batch.
template <typename Visit>
void forEachPiece(const Batch& batch, std::size_t begin, std::size_t size, Visit&& visit) {
  const std::size_t end = begin + size;
  const auto first = std::partition_point(batch.segments.begin(), batch.segments.end(), [&](const Segment& segment) {
    return segment.word_begin + segment.nwords <= begin;
  });
  for (auto segment = first; segment != batch.segments.end() && segment->word_begin < end; ++segment) {
    const std::size_t from = std::max(begin, segment->word_begin);
    const std::size_t to = std::min(end, segment->word_begin + segment->nwords);
    if (from >= to) continue;
    const std::size_t element = (from - segment->word_begin) * kWordBits;
    const std::size_t count = std::min(segment->count - element, (to - from) * kWordBits);
    visit(Piece{*segment, static_cast<std::size_t>(segment - batch.segments.begin()), element, count, from - begin});
  }
}

}  // namespace signccl

#endif  // SIGNCCL_EXEC_PIECES_H_
