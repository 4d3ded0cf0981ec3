// SPDX-License-Identifier: Apache-2.0
// A call that was captured into a CUDA graph: what the thread that exchanges replays sees of it.
//
// The graph's operations have constants, so the words of its slots are flags that are set by one side and taken back by
// the other: the stream sets `posted` and the host takes it back when it answers; the host sets `answered` and the
// stream takes it back after its wait. Everything that they use belongs to the graph and is not freed before it.
#ifndef SIGNCCL_STREAM_CAPTURED_CALL_H_
#define SIGNCCL_STREAM_CAPTURED_CALL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "stream/graph_held.h"
#include "stream/slot_ends.h"

namespace signccl {

/// What the words of a captured call's slots are set to.
inline constexpr std::uint32_t kSlotSet = 1;
inline constexpr std::uint32_t kSlotClear = 0;

/// What a call was captured with.
struct CapturedExchange {
  unsigned long long capture = 0;  ///< id of the capture
  ExchangeRules rules;
  std::vector<Segment> segments;                     ///< with the numbers of their calls at the capture
  std::vector<SlotSlice> slices;                     ///< in slots 0, 1 and so on
  std::int64_t first_tensor = kNoStep;               ///< see Submission::first_tensor
  const std::atomic<std::uint32_t>* veto = nullptr;  ///< see StreamStep::veto
};

/// Makes no CUDA call. All but drop() and isDropped() is for one thread at a time.
class CapturedCall final : public GraphHeld, public ExternalEnds {
 public:
  /// `tables` is what the graph and the exchange use besides. Somebody else holds both as well and frees them later.
  CapturedCall(std::shared_ptr<const SlotMemory> memory, std::shared_ptr<const void> tables, CapturedExchange exchange)
      : memory_(std::move(memory)), tables_(std::move(tables)), exchange_(std::move(exchange)) {}

  [[nodiscard]] const std::shared_ptr<const SlotMemory>& memory() const { return memory_; }
  [[nodiscard]] const std::shared_ptr<const void>& tables() const { return tables_; }

  [[nodiscard]] unsigned long long capture() const { return exchange_.capture; }
  [[nodiscard]] const ExchangeRules& rules() const { return exchange_.rules; }
  [[nodiscard]] std::int64_t firstTensor() const { return exchange_.first_tensor; }

  /// True if a stream has begun a replay, and has no answer yet.
  [[nodiscard]] bool isPosted() const noexcept;

  /// What the replay that is posted exchanges. Once for each replay.
  std::span<const Segment> nextReplay();

  /// Lets streams go on without results: answers slices that are posted. True if one was.
  bool failPosted() noexcept;

  // Of the replay that is exchanged. A failure is answered by failPosted(), when no peer reads the signs any more.
  [[nodiscard]] Word* memoryOf(std::size_t slice) noexcept override;
  [[nodiscard]] bool hasSigns(std::size_t slice) noexcept override;
  [[nodiscard]] std::uint32_t note(std::size_t) noexcept override {
    return exchange_.veto != nullptr && exchange_.veto->load(std::memory_order_relaxed) != 0 ? kVetoNote : 0;
  }
  void end(std::size_t slice, std::uint32_t note) noexcept override;
  void fail() noexcept override {}

 private:
  void answer(StreamSlot& slot, SlotStatus status) noexcept;

  const std::shared_ptr<const SlotMemory> memory_;  ///< shared with the device, which frees it when nobody else has it
  const std::shared_ptr<const void> tables_;        ///< as the memory
  const CapturedExchange exchange_;
  std::vector<Segment> segments_;  ///< of the latest replay
  std::uint64_t replays_ = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_CAPTURED_CALL_H_
