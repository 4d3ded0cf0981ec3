// SPDX-License-Identifier: Apache-2.0
#include "device/stream.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "base/log.h"
#include "device/driver_error.h"
#include "device/memory.h"

namespace signccl {
namespace {

/// Longest time in which a stream that nothing holds back does one step.
constexpr auto kProbeLimit = std::chrono::seconds(1);

/// A word that the host and a stream share, beside others.
class SharedWord {
 public:
  SharedWord(const PinnedMemory& memory, std::size_t offset)
      : word_(*reinterpret_cast<std::uint32_t*>(memory.host() + offset)), address_(memory.address() + offset) {}

  void set(std::uint32_t value) { std::atomic_ref(word_).store(value, std::memory_order_release); }
  [[nodiscard]] CudaDevicePointer address() const { return address_; }

  /// False if the word has another value for too long.
  [[nodiscard]] bool becomes(std::uint32_t value) const {
    const auto limit = std::chrono::steady_clock::now() + kProbeLimit;
    while (std::atomic_ref(word_).load(std::memory_order_acquire) != value) {
      if (std::chrono::steady_clock::now() > limit) return false;
      std::this_thread::yield();
    }
    return true;
  }

 private:
  std::uint32_t& word_;
  CudaDevicePointer address_;
};

CudaResult enqueue(const Device& device, CudaStream stream, std::span<CudaMemoryOperationParams> operations) {
  return device.driver().cuStreamBatchMemOp(stream, static_cast<unsigned int>(operations.size()), operations.data(), 0);
}

/// A stream, and the words by which it and the host take turns.
struct Probe {
  explicit Probe(const std::shared_ptr<Device>& device) : memory(device, kWordBytes * 2), stream(device) {
    posted.set(0);
    answered.set(0);
  }

  static constexpr std::size_t kWordBytes = 128;
  PinnedMemory memory;
  Stream stream;
  SharedWord posted{memory, 0};
  SharedWord answered{memory, kWordBytes};
  Probe* left_before = nullptr;
};

/// Probes whose streams never went on. Freeing memory that a stream waits for could block forever, so they are kept.
constinit std::atomic<Probe*> left_behind{nullptr};

void leaveBehind(std::unique_ptr<Probe> probe) noexcept {
  Probe* const left = probe.release();
  left->left_before = left_behind.load(std::memory_order_relaxed);
  while (!left_behind.compare_exchange_weak(left->left_before, left, std::memory_order_acq_rel)) continue;
}

/// Whether the stream posts, waits for the answer, and goes on.
bool takesTurns(const Device& device, Probe& probe) {
  std::array operations{writeValue(probe.posted.address(), 1), waitUntilReached(probe.answered.address(), 1),
                        writeValue(probe.posted.address(), 2)};
  const CudaResult result = enqueue(device, probe.stream.handle(), operations);
  if (result != CudaResult::kSuccess) {
    log(LogLevel::kInfo, Subsystem::kInit, kNoRank, "no stream memory operations on ", device, ": ",
        cudaResultText(device.driver(), result));
    return false;
  }
  const bool is_posted = probe.posted.becomes(1);
  probe.answered.set(1);
  return is_posted && probe.posted.becomes(2);
}

}  // namespace

Stream::Stream(std::shared_ptr<Device> device) : device_(std::move(device)) {
  const ContextScope scope(*device_);
  checkCuda(device_->driver(), device_->driver().cuStreamCreateWithPriority(&handle_, kCudaStreamNonBlocking, 0),
            "cuStreamCreateWithPriority", "on ", *device_);
}

Stream::~Stream() {
  releaseIn(*device_, [&](const CudaDriver& driver) { driver.cuStreamDestroy(handle_); });
}

CudaMemoryOperationParams waitUntilReached(CudaDevicePointer address, std::uint32_t value) noexcept {
  return {CudaMemoryOperation::kWaitValue32, address, value, kCudaWaitGeq, 0, {}};
}

CudaMemoryOperationParams waitUntilEqual(CudaDevicePointer address, std::uint32_t value) noexcept {
  return {CudaMemoryOperation::kWaitValue32, address, value, kCudaWaitEq, 0, {}};
}

CudaMemoryOperationParams writeValue(CudaDevicePointer address, std::uint32_t value) noexcept {
  return {CudaMemoryOperation::kWriteValue32, address, value, 0, 0, {}};
}

void enqueueMemoryOperations(const Device& device, CudaStream stream, std::span<CudaMemoryOperationParams> operations) {
  const ContextScope scope(device);
  while (!operations.empty()) {
    const std::size_t count = std::min<std::size_t>(operations.size(), kCudaMostMemoryOperations);
    checkCuda(device.driver(), enqueue(device, stream, operations.first(count)), "cuStreamBatchMemOp", "of ", count,
              " operations on ", device);
    operations = operations.subspan(count);
  }
}

bool supportsMemoryOperations(const std::shared_ptr<Device>& device) {
  auto probe = std::make_unique<Probe>(device);
  const ContextScope scope(*device);
  if (takesTurns(*device, *probe)) return true;
  if (device->driver().cuStreamQuery(probe->stream.handle()) == CudaResult::kNotReady) leaveBehind(std::move(probe));
  return false;
}

}  // namespace signccl
