// SPDX-License-Identifier: Apache-2.0
#include "stream/captured_call.h"

#include "kernels/random_ties.h"

namespace signccl {

bool CapturedCall::isPosted() const noexcept {
  return memory_->slot(0).posted.load(std::memory_order_acquire) == kSlotSet;
}

std::span<const Segment> CapturedCall::nextReplay() {
  segments_ = exchange_.segments;
  for (Segment& segment : segments_) segment.call = replayCall(segment.call, replays_);
  ++replays_;
  return segments_;
}

bool CapturedCall::failPosted() noexcept {
  bool was_posted = false;
  for (std::size_t slice = 0; slice < exchange_.slices.size(); ++slice) {
    if (!hasSigns(slice)) continue;
    answer(memory_->slot(slice), SlotStatus::kFailed);
    was_posted = true;
  }
  return was_posted;
}

Word* CapturedCall::memoryOf(std::size_t slice) noexcept { return memory_->hostWords(exchange_.slices[slice].offset); }

bool CapturedCall::hasSigns(std::size_t slice) noexcept {
  return memory_->slot(slice).posted.load(std::memory_order_acquire) == kSlotSet;
}

void CapturedCall::end(std::size_t slice, std::uint32_t note) noexcept {
  answer(memory_->slot(slice), (note & kVetoNote) != 0 ? SlotStatus::kVetoed : SlotStatus::kOk);
}

/// The stream may post again as soon as it has the answer, so that comes last.
void CapturedCall::answer(StreamSlot& slot, SlotStatus status) noexcept {
  slot.posted.store(kSlotClear, std::memory_order_relaxed);
  slot.status.store(status, std::memory_order_relaxed);
  slot.answered.store(kSlotSet, std::memory_order_release);
}

}  // namespace signccl
