// SPDX-License-Identifier: Apache-2.0
// Handles that the C API gives out. A handle is never used again for another object, so a handle of something that is
// gone is recognised and refused instead of followed.
#ifndef SIGNCCL_API_HANDLE_TABLE_H_
#define SIGNCCL_API_HANDLE_TABLE_H_

#include <bit>
#include <cstdint>
#include <mutex>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "base/brief_lock.h"
#include "base/fork.h"

namespace signccl {

/// Maps handles of pointer type `Handle`, which are never dereferenced, to values, whose copies and moves must not
/// throw. A handle's bits are 8 of the fork depth of the process that made it, 32 that count the uses of its slot, and
/// 24 that name the slot. Any thread.
template <typename Handle, typename Value>
class HandleTable {
 public:
  /// Throws std::bad_alloc; the table is then as it was.
  Handle insert(Value value) {
    const std::lock_guard lock(lock_);
    if (free_.empty()) addSlot();
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = slots_[index];
    slot.value = std::move(value);
    return toHandle(index, slot.generation);
  }

  /// A copy of the value, nothing for a handle that is not or no longer in the table.
  std::optional<Value> find(Handle handle) const {
    const std::lock_guard lock(lock_);
    const Slot* slot = slotOf(handle);
    return slot == nullptr ? std::nullopt : slot->value;
  }

  /// Calls change(value&) if the handle is in the table.
  template <typename Change>
  void update(Handle handle, Change&& change) {
    const std::lock_guard lock(lock_);
    Slot* slot = const_cast<Slot*>(slotOf(handle));
    if (slot != nullptr) change(*slot->value);
  }

  /// Removes and gives back the value. Of several threads that take one handle, one gets it.
  std::optional<Value> take(Handle handle) noexcept {
    const std::lock_guard lock(lock_);
    Slot* slot = const_cast<Slot*>(slotOf(handle));
    if (slot == nullptr) return std::nullopt;
    std::optional<Value> value = std::exchange(slot->value, std::nullopt);
    if (++slot->generation == 0) slot->generation = 1;
    free_.push_back(static_cast<std::uint32_t>(slot - slots_.data()));  // has room, see addSlot()
    return value;
  }

  /// True if a parent of this process made the handle, or would have.
  static bool isOfParent(Handle handle) noexcept { return depthOf(handle) < forkDepth(); }

  /// The fork depth of the process that made the handle.
  static std::uint8_t depthOf(Handle handle) noexcept {
    return static_cast<std::uint8_t>(std::bit_cast<std::uint64_t>(handle) >> 56U);
  }

 private:
  struct Slot {
    std::optional<Value> value;
    std::uint32_t generation = 1;  ///< so that no handle is null
  };

  static constexpr unsigned kIndexBits = 24;
  static constexpr std::uint64_t kIndexMask = (std::uint64_t{1} << kIndexBits) - 1;

  static_assert(sizeof(Handle) == sizeof(std::uint64_t));

  void addSlot() {
    if (slots_.size() > kIndexMask) throw std::bad_alloc();
    if (free_.capacity() == slots_.size()) free_.reserve(2 * slots_.size() + 8);
    slots_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
  }

  static Handle toHandle(std::uint32_t index, std::uint32_t generation) {
    return std::bit_cast<Handle>((std::uint64_t{forkDepth()} << 56U) | (std::uint64_t{generation} << kIndexBits) |
                                 index);
  }

  const Slot* slotOf(Handle handle) const {
    if (depthOf(handle) != forkDepth()) return nullptr;
    const auto bits = std::bit_cast<std::uint64_t>(handle);
    const std::size_t index = bits & kIndexMask;
    if (index >= slots_.size()) return nullptr;
    const Slot& slot = slots_[index];
    return slot.value && slot.generation == static_cast<std::uint32_t>(bits >> kIndexBits) ? &slot : nullptr;
  }

  mutable BriefLock lock_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;  ///< has room for all slots
};

}  // namespace signccl

#endif  // SIGNCCL_API_HANDLE_TABLE_H_
