// SPDX-License-Identifier: Apache-2.0
#include "kernel_ends.h"

#include <algorithm>

#include "exec/mean_table.h"
#include "exec/pieces.h"

namespace signccl {
namespace {

/// What a sum meets in a segment.
std::uint32_t noteOfValues(const Batch& batch, std::size_t number) {
  const Segment& segment = batch.segments[number];
  std::vector<Word> plane(segment.nwords);
  const std::uint32_t met =
      segment.source.kind->encodeSum(segment.source, referenceKernels(), 0, segment.count, nullptr, plane.data());
  return noteOfSum(number, met);
}

}  // namespace

KernelEnds::KernelEnds(const Batch& batch, std::size_t nslices, double readiness, std::uint64_t seed)
    : batch_(batch), readiness_(readiness), random_(seed), slices_(nslices) {
  for (std::size_t slice = 0; slice < nslices; ++slice) {
    slices_[slice].words = chunkRange(batch.nwords, static_cast<int>(nslices), static_cast<int>(slice));
    slices_[slice].memory.assign(externalWords(batch.rules, slices_[slice].words.size), 0x5555'5555'5555'5555);
  }
  if (batch.vetoes) own_note_ = kVetoNote;
  for (std::size_t i = 0; batch.is_sum && i < batch.segments.size(); ++i) own_note_ |= noteOfValues(batch, i);
}

bool KernelEnds::hasSigns(std::size_t number) noexcept {
  SliceState& slice = slices_[number];
  if (!slice.has_signs && std::uniform_real_distribution<>()(random_) < readiness_) {
    encode(slice);
    slice.has_signs = true;
  }
  return slice.has_signs;
}

void KernelEnds::encode(SliceState& slice) {
  const bool is_ternary = batch_.rules.votes_per_rank == 2;
  Word* const planes = slice.memory.data();
  forEachPiece(batch_, slice.words.begin, slice.words.size, [&](const Piece& piece) {
    const Source& source = piece.segment.source;
    source.kind->encode(source, referenceKernels(), piece.element, piece.count,
                        is_ternary ? planes + piece.word : nullptr,
                        planes + (is_ternary ? slice.words.size : 0) + piece.word);
  });
}

void KernelEnds::decode(const SliceState& slice, std::uint32_t note) {
  const CountMeaning meaning = batch_.is_sum ? CountMeaning::kSum : CountMeaning::kMean;
  const std::size_t stride = slice.words.size;
  const Word* const results = slice.memory.data() + static_cast<std::size_t>(batch_.rules.votes_per_rank) * stride;
  forEachPiece(batch_, slice.words.begin, slice.words.size, [&](const Piece& piece) {
    const Sink& sink = piece.segment.sink;
    if (batch_.is_sum && !fitsSigns(metOfSum(note, piece.index), batch_.rules.votes_per_rank)) return;
    const Word* const planes = results + piece.word;
    if (batch_.rules.op == SignOp::kAvg) {
      const MeanTable means(sink.kind->meanType(sink), batch_.rules, meaning);
      sink.kind->decodeAvg(sink, referenceKernels(), ConstPlanes{planes, stride, externalResultPlanes(batch_.rules)},
                           means.data(), piece.element, piece.count, Store::kCached);
    } else {
      sink.kind->decodeVote(sink, referenceKernels(), planes, batch_.rules.ternary_result ? planes + stride : nullptr,
                            piece.element, piece.count, Store::kCached);
    }
  });
}

void KernelEnds::end(std::size_t number, std::uint32_t note) noexcept {
  SliceState& slice = slices_[number];
  ++slice.times_ended;
  slice.note = note;
  if ((note & kVetoNote) == 0) decode(slice, note);
  // Whoever decodes may use the memory for something else from now on.
  std::ranges::fill(slice.memory, 0xAAAA'AAAA'AAAA'AAAA);
}

bool KernelEnds::allEnded(std::uint32_t note) const {
  return std::ranges::all_of(slices_,
                             [&](const SliceState& slice) { return slice.times_ended == 1 && slice.note == note; });
}

}  // namespace signccl
