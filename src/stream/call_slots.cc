// SPDX-License-Identifier: Apache-2.0
#include "stream/call_slots.h"

#include <utility>

#include "device/driver_error.h"

namespace signccl {
namespace {

/// Numbers of calls in one memory. A slot that is used seldom must not fall behind by 2^31.
constexpr std::uint32_t kMostCalls = std::uint32_t{1} << 30;

}  // namespace

LastCall::LastCall(const Device& device) {
  const CudaDriver& driver = device.driver();
  checkCuda(driver, driver.cuEventCreate(&event_, kCudaEventDisableTiming), "cuEventCreate", "on ", device);
}

void LastCall::letWait(const Device& device, CudaStream stream) const {
  if (!is_recorded_ || stream == stream_) return;
  const CudaDriver& driver = device.driver();
  checkCuda(driver, driver.cuStreamWaitEvent(stream, event_, 0), "cuStreamWaitEvent", "on ", device);
}

void LastCall::record(const Device& device, CudaStream stream) {
  const CudaDriver& driver = device.driver();
  checkCuda(driver, driver.cuEventRecord(event_, stream), "cuEventRecord", "on ", device);
  stream_ = stream;
  is_recorded_ = true;
}

LastCaptured::~LastCaptured() {
  if (!call_) return;
  releaseIn(*device_, [&](const CudaDriver& driver) { driver.cuEventDestroy(call_->event()); });
}

void LastCaptured::letWait(const StreamCapture& capture, CudaStream stream) const {
  if (call_ && capture_ == capture.id) call_->letWait(*device_, stream);
}

void LastCaptured::record(const StreamCapture& capture, CudaStream stream) {
  if (!call_) call_.emplace(*device_);
  call_->record(*device_, stream);
  capture_ = capture.id;
}

std::shared_ptr<const SlotMemory> CallSlots::reserve(const std::shared_ptr<Device>& device, const SlotNeeds& needs) {
  if (!memory_ || !memory_->holds(needs.nslots, needs.nwords, needs.has_copy) || number_ == kMostCalls) {
    auto fresh = std::make_shared<SlotMemory>(device, needs.nslots, needs.nwords, needs.has_copy);
    if (memory_) outgrown_.push_back(memory_);
    memory_ = std::move(fresh);
    number_ = 0;
  }
  ++number_;
  return memory_;
}

std::size_t CallSlots::bytes() const {
  std::size_t bytes = memory_ ? memory_->bytes() : 0;
  for (const auto& one : outgrown_) bytes += one->bytes();
  return bytes;
}

void CallSlots::giveAway(std::vector<std::shared_ptr<const void>>& memory) {
  for (auto& one : outgrown_) memory.push_back(std::move(one));
  outgrown_.clear();
  if (memory_) memory.push_back(std::move(memory_));
}

}  // namespace signccl
