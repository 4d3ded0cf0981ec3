// SPDX-License-Identifier: Apache-2.0
// The slots that calls of one rank use one after the other, and what makes streams that share them wait for each other.
#ifndef SIGNCCL_STREAM_CALL_SLOTS_H_
#define SIGNCCL_STREAM_CALL_SLOTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "device/capture.h"
#include "device/device.h"
#include "stream/slot_memory.h"

namespace signccl {

/// What a call needs.
struct SlotNeeds {
  std::size_t nslots = 0;
  std::size_t nwords = 0;  ///< of planes
  bool has_copy = false;   ///< as many in the device's memory
};

/// An event behind the last of calls that have to follow each other. All with the device's context.
class LastCall {
 public:
  /// Throws signcclUnhandledCudaError.
  explicit LastCall(const Device& device);

  /// Lets a stream wait for the last call, unless that was on the same one or there was none. Throws
  /// signcclUnhandledCudaError.
  void letWait(const Device& device, CudaStream stream) const;
  /// The last call is now what is on the stream. Throws signcclUnhandledCudaError.
  void record(const Device& device, CudaStream stream);

  [[nodiscard]] CudaEvent event() const { return event_; }

 private:
  CudaEvent event_ = nullptr;  ///< destroyed by whoever waits for it at the end
  CudaStream stream_ = nullptr;
  bool is_recorded_ = false;
};

/// The last call of a capture. Those of one capture follow each other on whatever branches they are, where CUDA sees
/// it. All with the device's context and in relaxed capture mode.
class LastCaptured {
 public:
  explicit LastCaptured(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  ~LastCaptured();
  LastCaptured(const LastCaptured&) = delete;
  LastCaptured& operator=(const LastCaptured&) = delete;

  /// Lets a stream wait for the last call of the capture, if there was one. Throws signcclUnhandledCudaError.
  void letWait(const StreamCapture& capture, CudaStream stream) const;
  /// The last call is now what is on the stream. Throws signcclUnhandledCudaError.
  void record(const StreamCapture& capture, CudaStream stream);

 private:
  const std::shared_ptr<Device> device_;
  std::optional<LastCall> call_;
  unsigned long long capture_ = 0;  ///< id of the capture in which it was
};

/// One thread at a time.
class CallSlots {
 public:
  /// Slots for the next call, which streams use after the calls before it. Throws what SlotMemory throws.
  std::shared_ptr<const SlotMemory> reserve(const std::shared_ptr<Device>& device, const SlotNeeds& needs);
  /// The number of the call that was given slots last.
  [[nodiscard]] std::uint32_t number() const { return number_; }

  /// Of all memory, with that which became too small.
  [[nodiscard]] std::size_t bytes() const;

  /// Gives away all memory, which streams may still use. At the end.
  void giveAway(std::vector<std::shared_ptr<const void>>& memory);

 private:
  std::shared_ptr<SlotMemory> memory_;
  std::vector<std::shared_ptr<const SlotMemory>> outgrown_;  ///< that were too small; streams may still use them
  std::uint32_t number_ = 0;                                 ///< of calls in memory_
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_CALL_SLOTS_H_
