// SPDX-License-Identifier: Apache-2.0
#include "stream/slot_engine.h"

#include <utility>

namespace signccl {
namespace {

/// Its back is one round: the exchange is moved on by the communicator.
class SlotCall final : public EngineCall {
 public:
  SlotCall(StreamRank& rank, StreamCall call) : rank_(rank), call_(std::move(call)) {}

  bool enqueueRound() override {
    rank_.enqueueBack(call_);
    return false;
  }

  /// Every slice has the vetoes of all ranks.
  [[nodiscard]] const std::uint32_t* vetoed() const override { return call_.memory->statusAddress(0); }

 private:
  StreamRank& rank_;
  StreamCall call_;
};

}  // namespace

std::unique_ptr<EngineCall> SlotEngine::enqueueFront(const ExchangeRules& rules, std::span<const Segment> segments,
                                                     CudaStream stream, const StreamStep* step) {
  return std::make_unique<SlotCall>(rank_, rank_.enqueueFront(rules, segments, stream, step));
}

std::unique_ptr<EngineCall> SlotEngine::enqueueSum(const ExchangeRules& rules, std::span<const Segment> segments,
                                                   CudaStream stream, const StreamSum& sum, Operation*& awaited) {
  StreamCall call = rank_.enqueueSum(rules, segments, stream, sum);
  awaited = call.awaited;
  return std::make_unique<SlotCall>(rank_, std::move(call));
}

}  // namespace signccl
