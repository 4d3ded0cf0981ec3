// SPDX-License-Identifier: Apache-2.0
#include "device/memory.h"

#include <utility>

#include "device/driver_error.h"

namespace signccl {

DeviceMemory::DeviceMemory(std::shared_ptr<Device> device, std::size_t bytes)
    : device_(std::move(device)), bytes_(bytes) {
  const ContextScope scope(*device_);
  checkCuda(device_->driver(), device_->driver().cuMemAlloc(&address_, bytes), "cuMemAlloc", "of ", bytes, " bytes on ",
            *device_);
}

DeviceMemory::~DeviceMemory() {
  releaseIn(*device_, [&](const CudaDriver& driver) { driver.cuMemFree(address_); });
}

PinnedMemory::PinnedMemory(std::shared_ptr<Device> device, std::size_t bytes)
    : device_(std::move(device)), bytes_(bytes) {
  const ContextScope scope(*device_);
  const CudaDriver& driver = device_->driver();
  // Not write-combined: the host reads it.
  checkCuda(driver, driver.cuMemHostAlloc(&host_, bytes, kCudaHostAllocPortable | kCudaHostAllocDeviceMap),
            "cuMemHostAlloc", "of ", bytes, " bytes for ", *device_);
  const CudaResult mapped = driver.cuMemHostGetDevicePointer(&address_, host_, 0);
  if (mapped == CudaResult::kSuccess) return;
  driver.cuMemFreeHost(host_);
  checkCuda(driver, mapped, "cuMemHostGetDevicePointer", "of ", bytes, " bytes for ", *device_);
}

PinnedMemory::~PinnedMemory() {
  releaseIn(*device_, [&](const CudaDriver& driver) { driver.cuMemFreeHost(host_); });
}

}  // namespace signccl
