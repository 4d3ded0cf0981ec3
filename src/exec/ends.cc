// SPDX-License-Identifier: Apache-2.0
#include "exec/ends.h"

#include "exec/batch.h"
#include "kernels/names.h"

namespace signccl {
namespace {

const void* elementsOf(const Source& source, std::size_t first) {
  return static_cast<const std::byte*>(source.object) + elementBytes(source.type, first);
}

void* elementsOf(const Sink& sink, std::size_t first) {
  return static_cast<std::byte*>(sink.object) + elementBytes(sink.type, first);
}

void encodeElements(const Source& source, const Kernels& kernels, std::size_t first, std::size_t count, Word* positive,
                    Word* nonnegative) {
  if (positive == nullptr) {
    kernels.encodeBinary(source.type, elementsOf(source, first), count, nonnegative);
  } else {
    kernels.encodeTernary(source.type, elementsOf(source, first), count, positive, nonnegative);
  }
}

std::uint32_t encodeSumOfElements(const Source& source, const Kernels& kernels, std::size_t first, std::size_t count,
                                  Word* positive, Word* nonnegative) {
  const void* const elements = elementsOf(source, first);
  return positive == nullptr ? kernels.encodeSumBinary(source.type, elements, count, nonnegative)
                             : kernels.encodeSumTernary(source.type, elements, count, positive, nonnegative);
}

void decodeVoteToElements(const Sink& sink, const Kernels& kernels, const Word* positive, const Word* nonnegative,
                          std::size_t first, std::size_t count, Store store) {
  kernels.decodeVote(sink.type, positive, nonnegative, count, elementsOf(sink, first), store);
}

void decodeAvgToElements(const Sink& sink, const Kernels& kernels, Counts counts, const void* means, std::size_t first,
                         std::size_t count, Store store) {
  kernels.decodeAvg(sink.type, counts, means, count, elementsOf(sink, first), store);
}

template <typename End>
std::size_t bytesOfElements(const End& end, std::size_t count) {
  return elementBytes(end.type, count);
}

template <typename End>
UserMemory memoryOfElements(const End& end) {
  return {end.object, elementBytes(end.type, kWordBits)};
}

template <typename End>
EndSignature signatureOfElements(const End& end) {
  return {static_cast<std::uint64_t>(end.type), elementTypeName(end.type)};
}

constexpr SourceKind kElementSource = {encodeElements, bytesOfElements<Source>, memoryOfElements<Source>,
                                       signatureOfElements<Source>, encodeSumOfElements};

constexpr SinkKind kElementSink = {
    .decodeVote = decodeVoteToElements,
    .decodeAvg = decodeAvgToElements,
    .meanType = [](const Sink& sink) { return sink.type; },
    .bytesTouched = bytesOfElements<Sink>,
    .memory = memoryOfElements<Sink>,
    .signature = signatureOfElements<Sink>,
};

}  // namespace

Source elementSource(ElementType type, const void* elements) { return {&kElementSource, elements, type}; }

Sink elementSink(ElementType type, void* elements) { return {&kElementSink, elements, type}; }

bool overwritesUnread(const Segment& segment) {
  const UserMemory read = segment.source.kind->memory(segment.source);
  const UserMemory written = segment.sink.kind->memory(segment.sink);
  return read.begin != nullptr && read.begin == written.begin && read.bytes_per_word != written.bytes_per_word;
}

std::size_t bytesTouched(const Segment& segment) {
  return segment.source.kind->bytesTouched(segment.source, segment.count) +
         segment.sink.kind->bytesTouched(segment.sink, segment.count);
}

}  // namespace signccl
