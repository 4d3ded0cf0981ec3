// SPDX-License-Identifier: Apache-2.0
// The ends of one exchange in slots: what the thread that drives the exchange sees of a call on a stream.
#ifndef SIGNCCL_STREAM_SLOT_ENDS_H_
#define SIGNCCL_STREAM_SLOT_ENDS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "exec/external_ends.h"
#include "schedule/chunk.h"
#include "stream/slot_memory.h"

namespace signccl {

/// One slice of a call.
struct SlotSlice {
  WordRange words;         ///< of the exchange
  std::size_t offset = 0;  ///< of its planes in the memory
};

/// Makes no CUDA call, so it can be used in any thread and while a stream waits.
class SlotEnds final : public ExternalEnds {
 public:
  /// For call `number`, whose slices are in slots 0, 1 and so on. `veto`: null, or a word that is not 0, once the signs
  /// are there, if this rank vetoes.
  SlotEnds(std::shared_ptr<const SlotMemory> memory, std::vector<SlotSlice> slices, std::uint32_t number,
           std::shared_ptr<const std::atomic<std::uint32_t>> veto)
      : memory_(std::move(memory)),
        slices_(std::move(slices)),
        number_(number),
        veto_(std::move(veto)),
        has_ended_(slices_.size()) {}

  [[nodiscard]] Word* memoryOf(std::size_t slice) noexcept override;
  [[nodiscard]] bool hasSigns(std::size_t slice) noexcept override;
  [[nodiscard]] std::uint32_t note(std::size_t) noexcept override {
    return veto_ != nullptr && veto_->load(std::memory_order_relaxed) != 0 ? kVetoNote : 0;
  }
  void end(std::size_t slice, std::uint32_t note) noexcept override;
  void fail() noexcept override;

 private:
  void answer(std::size_t slice, SlotStatus status) noexcept;

  const std::shared_ptr<const SlotMemory>
      memory_;  ///< shared: the stream may come to it later than the communicator goes
  const std::vector<SlotSlice> slices_;
  const std::uint32_t number_;
  const std::shared_ptr<const std::atomic<std::uint32_t>> veto_;
  std::vector<bool> has_ended_;
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_SLOT_ENDS_H_
