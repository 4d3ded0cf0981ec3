// SPDX-License-Identifier: Apache-2.0
#include "stream/slice_kernels.h"

#include <utility>

#include "exec/pieces.h"
#include "kernels/lanes/tiles.h"

namespace signccl {
namespace {

Word* wordsAt(CudaDevicePointer address) { return reinterpret_cast<Word*>(address); }

}  // namespace

std::size_t SliceKernels::tablesOf(const Batch& batch) {
  return (batch.is_sum ? 2U : 0U) + (batch.rules.votes_per_rank == 2 ? 1U : 0U);
}

void SliceKernels::prepare(const Batch& batch, CudaStream stream) {
  if (batch.rules.op != SignOp::kAvg) return;
  const CountMeaning meaning = batch.is_sum ? CountMeaning::kSum : CountMeaning::kMean;
  for (const Segment& segment : batch.segments) {
    auto& table = tables_.at(tablesOf(batch)).at(static_cast<std::size_t>(segment.sink.type));
    if (table) continue;
    auto fresh = std::make_shared<DeviceTable>(device_->device(), MeanTable(segment.sink.type, batch.rules, meaning));
    fresh->upload(stream);
    table = std::move(fresh);
  }
}

void SliceKernels::check(const Batch& batch, std::uint32_t* met, std::uint32_t value, CudaStream stream) const {
  for (const Segment& segment : batch.segments) {
    const CheckSignsArguments arguments{segment.source.object, segment.count, met, value};
    met += 2;
    if (segment.count == 0) continue;
    device_->launch(checkSignsKernel(segment.source.type), arguments, lanes::tilesFor(segment.count), stream);
  }
}

void SliceKernels::encode(const Batch& batch, WordRange words, CudaDevicePointer planes, CudaStream stream) const {
  const bool is_ternary = batch.rules.votes_per_rank == 2;
  Word* const first = wordsAt(planes);
  Word* const last = first + (is_ternary ? words.size : 0);
  forEachPiece(batch, words.begin, words.size, [&](const Piece& piece) {
    const Source& source = piece.segment.source;
    const auto* const elements =
        static_cast<const std::byte*>(source.object) + elementBytes(source.type, piece.element);
    const EncodeArguments arguments{elements, piece.count, is_ternary ? first + piece.word : nullptr,
                                    last + piece.word};
    device_->launch(encodeKernel(source.type, is_ternary), arguments, lanes::tilesFor(piece.count), stream);
  });
}

void SliceKernels::decode(const Batch& batch, WordRange words, CudaDevicePointer planes, const DecodeGuards& guards,
                          CudaStream stream) const {
  const CountRules& rules = batch.rules;
  const std::size_t stride = words.size;
  const int nplanes = externalResultPlanes(rules);
  forEachPiece(batch, words.begin, words.size, [&](const Piece& piece) {
    const Sink& sink = piece.segment.sink;
    void* const elements = static_cast<std::byte*>(sink.object) + elementBytes(sink.type, piece.element);
    const Word* const first = wordsAt(planes) + piece.word;
    const std::size_t ntiles = lanes::tilesFor(piece.count);
    if (rules.op == SignOp::kAvg) {
      const void* const values = tables_.at(tablesOf(batch)).at(static_cast<std::size_t>(sink.type))->pointer();
      const std::uint32_t* const status = guards.status + (batch.is_sum ? piece.index : 0);
      const DecodeAvgArguments arguments{{first, stride, nplanes}, values, piece.count, elements, status};
      device_->launch(decodeAvgKernel(sink.type, nplanes), arguments, ntiles, stream);
    } else {
      const DecodeVoteArguments arguments{first, rules.ternary_result ? first + stride : nullptr, piece.count, elements,
                                          guards.status};
      device_->launch(decodeVoteKernel(sink.type, rules.ternary_result), arguments, ntiles, stream);
    }
  });
}

std::vector<std::shared_ptr<const void>> SliceKernels::release() {
  std::vector<std::shared_ptr<const void>> memory;
  for (Tables& tables : tables_) {
    for (auto& table : tables) {
      if (table) memory.push_back(std::move(table));
    }
  }
  return memory;
}

}  // namespace signccl
