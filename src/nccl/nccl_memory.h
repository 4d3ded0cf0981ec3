// SPDX-License-Identifier: Apache-2.0
// The memory of a call over NCCL: planes on the device, and words by which the stream says how far it has come.
#ifndef SIGNCCL_NCCL_NCCL_MEMORY_H_
#define SIGNCCL_NCCL_NCCL_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "device/memory.h"
#include "kernels/word.h"

namespace signccl {

/// A word in pinned memory, on a line of its own, that streams write and the host reads, or the other way round. Any
/// thread.
class PinnedWord {
 public:
  /// It is 0. Throws what PinnedMemory throws.
  explicit PinnedWord(const std::shared_ptr<Device>& device);

  [[nodiscard]] CudaDevicePointer address() const { return memory_.address(); }
  [[nodiscard]] std::uint32_t* devicePointer() const { return reinterpret_cast<std::uint32_t*>(address()); }
  [[nodiscard]] std::atomic<std::uint32_t>& value() const { return *value_; }
  /// True if the word is `number` or up to 2^31 - 1 ahead of it.
  [[nodiscard]] bool hasReached(std::uint32_t number) const {
    return static_cast<std::int32_t>(value().load(std::memory_order_acquire) - number) >= 0;
  }

 private:
  PinnedMemory memory_;
  std::atomic<std::uint32_t>* value_;
};

/// For one call at a time, whose streams follow each other.
class NcclMemory {
 public:
  /// Throws what DeviceMemory and PinnedMemory throw.
  NcclMemory(const std::shared_ptr<Device>& device, std::size_t nwords)
      : nwords_(nwords), planes_(device, (nwords == 0 ? 1 : nwords) * sizeof(Word)), begun_(device), ended_(device) {}

  [[nodiscard]] std::size_t nwords() const { return nwords_; }
  [[nodiscard]] CudaDevicePointer address(std::size_t offset) const {
    return planes_.address() + offset * sizeof(Word);
  }
  [[nodiscard]] Word* words(std::size_t offset) const { return reinterpret_cast<Word*>(address(offset)); }

  /// The number of the latest call that the stream has come to, and of the latest one that it is through with.
  [[nodiscard]] const PinnedWord& begun() const { return begun_; }
  [[nodiscard]] const PinnedWord& ended() const { return ended_; }

 private:
  std::size_t nwords_;
  DeviceMemory planes_;
  PinnedWord begun_;
  PinnedWord ended_;
};

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_MEMORY_H_
