// Handles that the C API gives out. A handle is never used again for another object, so a handle of something that is
// gone is recognised and refused instead of followed.
#ifndef SIGNCCL_API_HANDLE_TABLE_H_
#define SIGNCCL_API_HANDLE_TABLE_H_

#include <bit>
#include <cstdint>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <utility>
#include <vector>

namespace signccl {

/// Maps handles of pointer type `Handle`, which are never dereferenced, to values. Any thread.
template <typename Handle, typename Value>
class HandleTable {
 public:
  Handle insert(Value value) {
    const std::unique_lock lock(mutex_);
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = slots_[index];
    slot.value = std::move(value);
    return toHandle(index, slot.generation);
  }

  /// A copy of the value, nothing for a handle that is not or no longer in the table.
  std::optional<Value> find(Handle handle) const {
    const std::shared_lock lock(mutex_);
    const Slot* slot = slotOf(handle);
    return slot == nullptr ? std::nullopt : slot->value;
  }

  /// Calls change(value&) if the handle is in the table.
  template <typename Change>
  void update(Handle handle, Change&& change) {
    const std::unique_lock lock(mutex_);
    Slot* slot = const_cast<Slot*>(slotOf(handle));
    if (slot != nullptr) change(*slot->value);
  }

  /// Removes and gives back the value.
  std::optional<Value> take(Handle handle) {
    const std::unique_lock lock(mutex_);
    Slot* slot = const_cast<Slot*>(slotOf(handle));
    if (slot == nullptr) return std::nullopt;
    std::optional<Value> value = std::exchange(slot->value, std::nullopt);
    ++slot->generation;
    free_.push_back(static_cast<std::uint32_t>(slot - slots_.data()));
    return value;
  }

 private:
  struct Slot {
    std::optional<Value> value;
    std::uint32_t generation = 1;  ///< so that no handle is null
  };

  static_assert(sizeof(Handle) == sizeof(std::uint64_t));

  static Handle toHandle(std::uint32_t index, std::uint32_t generation) {
    return std::bit_cast<Handle>((std::uint64_t{generation} << 32) | index);
  }

  const Slot* slotOf(Handle handle) const {
    const auto bits = std::bit_cast<std::uint64_t>(handle);
    const std::size_t index = bits & 0xffffffffU;
    if (index >= slots_.size()) return nullptr;
    const Slot& slot = slots_[index];
    return slot.value && slot.generation == bits >> 32 ? &slot : nullptr;
  }

  mutable std::shared_mutex mutex_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace signccl

#endif  // SIGNCCL_API_HANDLE_TABLE_H_
