// SPDX-License-Identifier: Apache-2.0
#include "stream/slice_kernels.h"

#include <utility>

#include "exec/pieces.h"
#include "kernels/lanes/tiles.h"

namespace signccl {
namespace {

Word* wordsAt(CudaDevicePointer address) { return reinterpret_cast<Word*>(address); }

}  // namespace

void SliceKernels::prepare(const Batch& batch, CudaStream stream) {
  if (batch.rules.op != SignOp::kAvg) return;
  if (table_rules_ != batch.rules) {
    for (auto& table : tables_) {
      if (table) outgrown_.push_back(std::move(table));
    }
    table_rules_ = batch.rules;
  }
  for (const Segment& segment : batch.segments) {
    auto& table = tables_.at(static_cast<std::size_t>(segment.sink.type));
    if (table) continue;
    auto fresh = std::make_shared<DeviceTable>(device_->device(), MeanTable(segment.sink.type, batch.rules));
    fresh->upload(stream);
    table = std::move(fresh);
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
      const void* const means = tables_.at(static_cast<std::size_t>(sink.type))->pointer();
      const DecodeAvgArguments arguments{{first, stride, nplanes}, means, piece.count, elements, guards.status};
      device_->launch(decodeAvgKernel(sink.type, nplanes), arguments, ntiles, stream);
    } else {
      const DecodeVoteArguments arguments{first, rules.ternary_result ? first + stride : nullptr, piece.count, elements,
                                          guards.status};
      device_->launch(decodeVoteKernel(sink.type, rules.ternary_result), arguments, ntiles, stream);
    }
  });
}

std::vector<std::shared_ptr<const void>> SliceKernels::release() {
  for (auto& table : tables_) {
    if (table) outgrown_.push_back(std::move(table));
  }
  return std::exchange(outgrown_, {});
}

}  // namespace signccl
