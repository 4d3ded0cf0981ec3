// SPDX-License-Identifier: Apache-2.0
#include "stream/slot_memory.h"

#include <new>

namespace signccl {

namespace {

/// Bytes before the planes.
std::size_t headBytes(std::size_t nslots) { return nslots * sizeof(StreamSlot) + sizeof(SumFlags); }

}  // namespace

SlotMemory::SlotMemory(const std::shared_ptr<Device>& device, std::size_t nslots, std::size_t nwords, bool has_copy)
    : nslots_(nslots), nwords_(nwords), pinned_(device, headBytes(nslots) + nwords * sizeof(Word)) {
  if (has_copy) copy_.emplace(device, nwords * sizeof(Word));
  slots_ = reinterpret_cast<StreamSlot*>(pinned_.host());
  for (std::size_t i = 0; i < nslots; ++i) new (&slots_[i]) StreamSlot;
  sum_flags_ = new (pinned_.host() + nslots * sizeof(StreamSlot)) SumFlags;
  words_ = reinterpret_cast<Word*>(pinned_.host() + headBytes(nslots));
}

bool SlotMemory::holds(std::size_t nslots, std::size_t nwords, bool has_copy) const {
  return nslots <= nslots_ && nwords <= nwords_ && (!has_copy || copy_.has_value());
}

std::size_t SlotMemory::bytes() const { return headBytes(nslots_) + nwords_ * sizeof(Word) * (copy_ ? 2 : 1); }

CudaDevicePointer SlotMemory::postedAddress(std::size_t number) const {
  return slotAddress(number) + offsetof(StreamSlot, posted);
}

CudaDevicePointer SlotMemory::answeredAddress(std::size_t number) const {
  return slotAddress(number) + offsetof(StreamSlot, answered);
}

const std::uint32_t* SlotMemory::statusAddress(std::size_t number) const {
  return reinterpret_cast<const std::uint32_t*>(slotAddress(number) + offsetof(StreamSlot, status));
}

CudaDevicePointer SlotMemory::hostWordsAddress(std::size_t offset) const {
  return pinned_.address() + headBytes(nslots_) + offset * sizeof(Word);
}

std::uint32_t* SlotMemory::metAddress() const {
  return reinterpret_cast<std::uint32_t*>(slotAddress(nslots_) + offsetof(SumFlags, met));
}

const std::uint32_t* SlotMemory::sumStatusAddress() const {
  return reinterpret_cast<const std::uint32_t*>(slotAddress(nslots_) + offsetof(SumFlags, status));
}

}  // namespace signccl
