// SPDX-License-Identifier: Apache-2.0
// The memory through which the slices of an exchange pass between a stream and the thread that drives the exchange.
//
// A slot serves one slice. Two words say whose turn it is: the stream stores the number of the call in `posted` when
// the signs are there, and the host stores it in `answered` when the results, or a status without results, are there.
// Numbers only grow, and a wait for a number also ends at any later one. So the host can store the answer to a failed
// call before the stream has come to it.
// Calls in CUDA graphs use the words as flags (captured_call.h).
#ifndef SIGNCCL_STREAM_SLOT_MEMORY_H_
#define SIGNCCL_STREAM_SLOT_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "device/memory.h"
#include "exec/notes.h"
#include "kernels/word.h"

namespace signccl {

/// What the stream finds with the answer: anything but 0 keeps decode kernels from writing.
enum class SlotStatus : std::uint32_t { kOk = 0, kVetoed = 1, kFailed = 2 };

/// What a stream and the host share for each slice; each side writes lines of its own.
struct StreamSlot {
  alignas(128) std::atomic<std::uint32_t> posted = 0;
  alignas(128) std::atomic<std::uint32_t> answered = 0;
  std::atomic<SlotStatus> status = SlotStatus::kOk;
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free && sizeof(StreamSlot) == 256);

/// What the segments of an exchange of sums share between stream and host.
struct SumFlags {
  struct Met {
    std::atomic<std::uint32_t> zeros = 0;  ///< the number of the call if its kernels have met zeros
    std::atomic<std::uint32_t> others = 0;
  };
  alignas(128) Met met[kMaxSumSegments];
  /// Takes the place of StreamSlot::status: of the sums of one exchange some may be written and others not.
  alignas(128) std::atomic<SlotStatus> status[kMaxSumSegments] = {};
};
static_assert(sizeof(SumFlags) == 256 && sizeof(SumFlags::Met) == 2 * sizeof(std::uint32_t));

class SlotMemory {
 public:
  /// Slots, and `nwords` words of planes in host memory; `has_copy`: as many in the device's memory. Throws what
  /// PinnedMemory and DeviceMemory throw.
  SlotMemory(const std::shared_ptr<Device>& device, std::size_t nslots, std::size_t nwords, bool has_copy);

  [[nodiscard]] bool holds(std::size_t nslots, std::size_t nwords, bool has_copy) const;

  [[nodiscard]] StreamSlot& slot(std::size_t number) const { return slots_[number]; }
  [[nodiscard]] CudaDevicePointer postedAddress(std::size_t number) const;
  [[nodiscard]] CudaDevicePointer answeredAddress(std::size_t number) const;
  [[nodiscard]] const std::uint32_t* statusAddress(std::size_t number) const;

  [[nodiscard]] SumFlags& sumFlags() const { return *sum_flags_; }
  /// Of the first segment's two words, which those of the others follow.
  [[nodiscard]] std::uint32_t* metAddress() const;
  /// Of the first segment; those of the others follow.
  [[nodiscard]] const std::uint32_t* sumStatusAddress() const;

  /// Word `offset` of the planes, for the host, and for kernels.
  [[nodiscard]] Word* hostWords(std::size_t offset) const { return words_ + offset; }
  [[nodiscard]] CudaDevicePointer hostWordsAddress(std::size_t offset) const;
  /// The same word in the copy.
  [[nodiscard]] CudaDevicePointer copyAddress(std::size_t offset) const {
    return copy_->address() + offset * sizeof(Word);
  }

  [[nodiscard]] std::size_t nslots() const { return nslots_; }
  [[nodiscard]] std::size_t nwords() const { return nwords_; }
  /// On the host, and in the copy.
  [[nodiscard]] std::size_t bytes() const;

 private:
  [[nodiscard]] CudaDevicePointer slotAddress(std::size_t number) const {
    return pinned_.address() + number * sizeof(StreamSlot);
  }

  std::size_t nslots_;
  std::size_t nwords_;
  PinnedMemory pinned_;
  std::optional<DeviceMemory> copy_;
  StreamSlot* slots_;
  SumFlags* sum_flags_;  ///< behind the slots
  Word* words_;
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_SLOT_MEMORY_H_
