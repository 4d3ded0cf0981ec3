// SPDX-License-Identifier: Apache-2.0
// The engine whose exchanges go through pinned memory and over the transport of the host.
#ifndef SIGNCCL_STREAM_SLOT_ENGINE_H_
#define SIGNCCL_STREAM_SLOT_ENGINE_H_

#include <memory>

#include "stream/stream_engine.h"
#include "stream/stream_rank.h"

namespace signccl {

class SlotEngine final : public StreamEngine {
 public:
  /// `rank` must outlive it.
  explicit SlotEngine(StreamRank& rank) : rank_(rank) {}

  std::unique_ptr<EngineCall> enqueueFront(const ExchangeRules& rules, std::span<const Segment> segments,
                                           CudaStream stream, const StreamStep* step) override;

  /// As StreamRank::enqueueSum(). `awaited` receives the operation that the caller must wait for, or null.
  std::unique_ptr<EngineCall> enqueueSum(const ExchangeRules& rules, std::span<const Segment> segments,
                                         CudaStream stream, const StreamSum& sum, Operation*& awaited);

  void checkCapture(CudaStream /*stream*/, const char* /*what*/) const override {}
  [[nodiscard]] const std::shared_ptr<StreamDevice>& device() const override { return rank_.device(); }

 private:
  StreamRank& rank_;
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_SLOT_ENGINE_H_
