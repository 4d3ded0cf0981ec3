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

 private:
  StreamRank& rank_;
  StreamCall call_;
};

}  // namespace

std::unique_ptr<EngineCall> SlotEngine::enqueueFront(const ExchangeRules& rules, std::span<const Segment> segments,
                                                     CudaStream stream) {
  return std::make_unique<SlotCall>(rank_, rank_.enqueueFront(rules, segments, stream));
}

}  // namespace signccl
