// SPDX-License-Identifier: Apache-2.0
// Memory of a device that the back needs for itself.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_DEVICE_MEMORY_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_DEVICE_MEMORY_H_

#include <cstddef>

#include "nccl/back/cuda.h"
#include "nccl/back/failure.h"

namespace signccl::nccl_preload {

class DeviceMemory {
 public:
  /// Throws Failure.
  DeviceMemory(int device, std::size_t bytes) : device_(device), bytes_(bytes) {
    const DeviceScope scope(device);
    expectCudaSuccess(cuda().cuMemAlloc(&address_, bytes), "cuMemAlloc");
  }
  /// Waits for what uses it.
  ~DeviceMemory() {
    try {
      const DeviceScope scope(device_);
      cuda().cuMemFree(address_);
    } catch (const Failure&) {
      return;  // the context is gone, and the memory with it
    }
  }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  [[nodiscard]] DeviceAddress address() const { return address_; }
  [[nodiscard]] void* pointer() const { return reinterpret_cast<void*>(address_); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  int device_;
  std::size_t bytes_;
  DeviceAddress address_ = 0;
};

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_DEVICE_MEMORY_H_
