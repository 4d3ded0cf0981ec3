// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_lane.h"

#include <utility>

#include "device/driver_error.h"

namespace signccl {
namespace {

/// The driver takes its highest priority for it. Kernels that encode fill the device, and those of NCCL are to begin
/// before the next of them does.
constexpr int kHighestPriority = -100;

}  // namespace

NcclLane::NcclLane(std::shared_ptr<Device> device) : device_(std::move(device)) {
  checkCuda(device_->driver(),
            device_->driver().cuStreamCreateWithPriority(&stream_, kCudaStreamNonBlocking, kHighestPriority),
            "cuStreamCreateWithPriority", "on ", *device_);
  try {
    makeEvents(joined_, 1);
  } catch (...) {
    release();
    throw;
  }
}

NcclLane::~NcclLane() { release(); }

void NcclLane::release() noexcept {
  releaseIn(*device_, [&](const CudaDriver& driver) {
    for (const auto* const events : {&encoded_, &decoded_, &joined_}) {
      for (const CudaEvent event : *events) driver.cuEventDestroy(event);
    }
    driver.cuStreamDestroy(stream_);
  });
}

void NcclLane::reserve(std::size_t nslices, std::size_t nresults) {
  makeEvents(encoded_, nslices);
  makeEvents(decoded_, nresults);
}

void NcclLane::makeEvents(std::vector<CudaEvent>& events, std::size_t count) {
  events.reserve(count);
  while (events.size() < count) {
    CudaEvent event = nullptr;
    checkCuda(device_->driver(), device_->driver().cuEventCreate(&event, kCudaEventDisableTiming), "cuEventCreate",
              "on ", *device_);
    events.push_back(event);
  }
}

void NcclLane::record(CudaEvent event, CudaStream stream) const {
  checkCuda(device_->driver(), device_->driver().cuEventRecord(event, stream), "cuEventRecord", "on ", *device_);
}

void NcclLane::letWait(CudaStream stream, CudaEvent event) const {
  checkCuda(device_->driver(), device_->driver().cuStreamWaitEvent(stream, event, 0), "cuStreamWaitEvent", "on ",
            *device_);
}

}  // namespace signccl
