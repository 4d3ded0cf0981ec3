// SPDX-License-Identifier: Apache-2.0
// What the thread that drives a communicator sees of a call over NCCL.
#ifndef SIGNCCL_NCCL_NCCL_WATCH_H_
#define SIGNCCL_NCCL_NCCL_WATCH_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "comm/outside_exchange.h"
#include "kernels/device/arguments.h"
#include "nccl/nccl_communicator.h"
#include "nccl/nccl_memory.h"

namespace signccl {

/// Ends what a rank does with NCCL, for good. Any thread.
class NcclSwitch {
 public:
  /// `status` is 0 as long as decode kernels may write.
  explicit NcclSwitch(const std::shared_ptr<Device>& device) : status_(device) {}

  /// Before the first call.
  void connect(std::shared_ptr<NcclCommunicator> communicator) { communicator_ = std::move(communicator); }

  /// True if a kernel has found that ranks replay different calls.
  [[nodiscard]] bool haveReplaysDiffered() const noexcept {
    return status_.value().load(std::memory_order_acquire) == kReplaysDiffer;
  }

  /// From now on no decode kernel writes. An abort of NCCL must follow.
  void keepFromWriting() noexcept { status_.value().store(1, std::memory_order_release); }

  /// The status first: after the abort kernels of NCCL end, and what follows them on the streams finds garbage.
  void turnOff() noexcept {
    keepFromWriting();
    if (communicator_) communicator_->abort();
  }

  [[nodiscard]] const std::uint32_t* status() const {
    return reinterpret_cast<const std::uint32_t*>(status_.address());
  }
  [[nodiscard]] std::uint32_t* statusOnDevice() const { return status_.devicePointer(); }
  /// Null for a rank that cannot use NCCL, or needs none.
  [[nodiscard]] NcclCommunicator* communicator() const { return communicator_.get(); }

 private:
  PinnedWord status_;
  std::shared_ptr<NcclCommunicator> communicator_;
};

/// Makes no CUDA call.
class NcclWatch final : public OutsideExchange {
 public:
  /// For call `number` of the memory, which is noted at the communicator. `messages`: of the call.
  NcclWatch(std::shared_ptr<const NcclMemory> memory, std::uint32_t number, const TransportCounters& messages,
            std::shared_ptr<NcclSwitch> power)
      : memory_(std::move(memory)), number_(number), messages_(messages), switch_(std::move(power)) {
    if (switch_->communicator() != nullptr) switch_->communicator()->noteCall();
  }
  ~NcclWatch() override {
    if (switch_->communicator() != nullptr) switch_->communicator()->noteEnd();
  }
  NcclWatch(const NcclWatch&) = delete;
  NcclWatch& operator=(const NcclWatch&) = delete;

  [[nodiscard]] bool hasBegun() noexcept override { return memory_->begun().hasReached(number_); }
  [[nodiscard]] bool hasEnded() noexcept override { return memory_->ended().hasReached(number_); }
  [[nodiscard]] TransportCounters messages() const noexcept override { return messages_; }
  void fail() noexcept override { switch_->turnOff(); }

 private:
  const std::shared_ptr<const NcclMemory>
      memory_;  ///< shared: the stream may come to it after the communicator has gone
  const std::uint32_t number_;
  const TransportCounters messages_;
  const std::shared_ptr<NcclSwitch> switch_;
};

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_WATCH_H_
