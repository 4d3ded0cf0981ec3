// What one exchange works on: the buffers of one collective, or of several that travel together.
#ifndef SIGNCCL_EXEC_BATCH_H_
#define SIGNCCL_EXEC_BATCH_H_

#include <cstdint>
#include <vector>

#include "base/types.h"
#include "kernels/kernels.h"
#include "schedule/width.h"

namespace signccl {

/// The buffers of one call. Its signs are words [word_begin, word_begin + nwords) of the batch, so buffers never
/// share a word.
struct Segment {
  const void* send = nullptr;
  void* recv = nullptr;
  std::size_t count = 0;  ///< elements
  ElementType sendtype = ElementType::kFloat32;
  ElementType recvtype = ElementType::kFloat32;
  std::uint64_t call = 0;  ///< number of the call in its communicator, for TieRule::kRandom
  std::size_t word_begin = 0;
  std::size_t nwords = 0;
};

struct Batch {
  std::uint64_t exchange = 0;
  std::uint64_t digest = 0;  ///< of what this rank takes the exchange to be; goes into the tags
  CountRules rules;
  TieRule tie = TieRule::kRandom;
  std::size_t nwords = 0;
  std::vector<Segment> segments;

  void clear() {
    segments.clear();
    nwords = 0;
  }

  /// Appends a segment; its word range is set here.
  void add(Segment segment) {
    segment.word_begin = nwords;
    segment.nwords = wordsFor(segment.count);
    nwords += segment.nwords;
    segments.push_back(segment);
  }

  /// True if a result might be written over elements that other slices have yet to encode: in place, with element
  /// types of different size.
  [[nodiscard]] bool mustEncodeFirst() const {
    for (const Segment& segment : segments) {
      if (segment.send == segment.recv &&
          elementBytes(segment.sendtype, kWordBits) != elementBytes(segment.recvtype, kWordBits)) {
        return true;
      }
    }
    return false;
  }

  /// Bytes that the collective reads and writes in user memory.
  [[nodiscard]] std::size_t userBytes() const {
    std::size_t bytes = 0;
    for (const Segment& segment : segments) {
      bytes += elementBytes(segment.sendtype, segment.count) + elementBytes(segment.recvtype, segment.count);
    }
    return bytes;
  }
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_BATCH_H_
