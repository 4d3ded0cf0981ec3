// SPDX-License-Identifier: Apache-2.0
#include "stream/slot_ends.h"

namespace signccl {

Word* SlotEnds::memoryOf(std::size_t slice) noexcept { return memory_->hostWords(slices_[slice].offset); }

bool SlotEnds::hasSigns(std::size_t slice) noexcept {
  return memory_->slot(slice).posted.load(std::memory_order_acquire) == number_;
}

void SlotEnds::end(std::size_t slice, std::uint32_t note) noexcept {
  has_ended_[slice] = true;
  answer(slice, (note & kVetoNote) != 0 ? SlotStatus::kVetoed : SlotStatus::kOk);
}

void SlotEnds::fail() noexcept {
  for (std::size_t slice = 0; slice < slices_.size(); ++slice) {
    if (!has_ended_[slice]) answer(slice, SlotStatus::kFailed);
  }
}

void SlotEnds::answer(std::size_t slice, SlotStatus status) noexcept {
  StreamSlot& slot = memory_->slot(slice);
  slot.status.store(status, std::memory_order_relaxed);
  slot.answered.store(number_, std::memory_order_release);
}

}  // namespace signccl
