#include "kernel_ends.h"

#include <algorithm>

#include "exec/mean_table.h"

namespace signccl {

KernelEnds::KernelEnds(const Batch& batch, std::size_t nslices, double readiness, std::uint64_t seed)
    : batch_(batch), readiness_(readiness), random_(seed), slices_(nslices) {
  for (std::size_t slice = 0; slice < nslices; ++slice) {
    slices_[slice].words = chunkRange(batch.nwords, static_cast<int>(nslices), static_cast<int>(slice));
    slices_[slice].memory.assign(externalWords(batch.rules, slices_[slice].words.size), 0x5555'5555'5555'5555);
  }
}

bool KernelEnds::hasSigns(std::size_t number) noexcept {
  SliceState& slice = slices_[number];
  if (!slice.has_signs && std::uniform_real_distribution<>()(random_) < readiness_) {
    encode(slice);
    slice.has_signs = true;
  }
  return slice.has_signs;
}

/// Calls visit(segment, first element, elements, first word within `words`).
template <typename Visit>
void KernelEnds::forEachPiece(const WordRange& words, const Visit& visit) const {
  for (const Segment& segment : batch_.segments) {
    const std::size_t from = std::max(words.begin, segment.word_begin);
    const std::size_t to = std::min(words.begin + words.size, segment.word_begin + segment.nwords);
    if (from >= to) continue;
    const std::size_t first = (from - segment.word_begin) * kWordBits;
    visit(segment, first, std::min(segment.count - first, (to - from) * kWordBits), from - words.begin);
  }
}

void KernelEnds::encode(SliceState& slice) {
  const bool is_ternary = batch_.rules.votes_per_rank == 2;
  Word* const planes = slice.memory.data();
  forEachPiece(slice.words, [&](const Segment& segment, std::size_t first, std::size_t count, std::size_t word) {
    segment.source.kind->encode(segment.source, referenceKernels(), first, count, is_ternary ? planes + word : nullptr,
                                planes + (is_ternary ? slice.words.size : 0) + word);
  });
}

void KernelEnds::decode(const SliceState& slice) {
  const std::size_t stride = slice.words.size;
  const Word* const results = slice.memory.data() + static_cast<std::size_t>(batch_.rules.votes_per_rank) * stride;
  forEachPiece(slice.words, [&](const Segment& segment, std::size_t first, std::size_t count, std::size_t word) {
    const Sink& sink = segment.sink;
    if (batch_.rules.op == SignOp::kAvg) {
      const MeanTable means(sink.kind->meanType(sink), batch_.rules);
      sink.kind->decodeAvg(sink, referenceKernels(), {results + word, stride, externalResultPlanes(batch_.rules)},
                           means.data(), first, count, Store::kCached);
    } else {
      sink.kind->decodeVote(sink, referenceKernels(), results + word,
                            batch_.rules.ternary_result ? results + stride + word : nullptr, first, count,
                            Store::kCached);
    }
  });
}

void KernelEnds::end(std::size_t number, SliceOutcome outcome) noexcept {
  SliceState& slice = slices_[number];
  ++slice.times_ended;
  slice.outcome = outcome;
  if (outcome == SliceOutcome::kResult) decode(slice);
  // Whoever decodes may use the memory for something else from now on.
  std::ranges::fill(slice.memory, 0xAAAA'AAAA'AAAA'AAAA);
}

bool KernelEnds::allEnded(SliceOutcome outcome) const {
  return std::ranges::all_of(
      slices_, [&](const SliceState& slice) { return slice.times_ended == 1 && slice.outcome == outcome; });
}

}  // namespace signccl
