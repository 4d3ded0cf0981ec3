// SPDX-License-Identifier: Apache-2.0
// Memory of a device, and host memory that a device reads and writes.
//
// To make or to free either may wait until all streams of the device are done. So neither is done while a stream may
// wait for something that this thread, or a peer, has yet to do: memory is made before a device's first use.
#ifndef SIGNCCL_DEVICE_MEMORY_H_
#define SIGNCCL_DEVICE_MEMORY_H_

#include <cstddef>
#include <memory>

#include "device/device.h"

namespace signccl {

/// Device memory, aligned to 256 bytes at least, with undefined contents. The host cannot touch it. Its end must not be
/// awaited by a stream that still uses it.
class DeviceMemory {
 public:
  /// `bytes` > 0. Throws signcclUnhandledCudaError, and what ContextScope throws.
  DeviceMemory(std::shared_ptr<Device> device, std::size_t bytes);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  [[nodiscard]] CudaDevicePointer address() const { return address_; }
  [[nodiscard]] void* pointer() const { return reinterpret_cast<void*>(address_); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<Device> device_;  ///< shared: its context must outlive the memory
  CudaDevicePointer address_ = 0;
  std::size_t bytes_;
};

/// Host memory that all devices of the process reach, aligned to a page, with undefined contents.
class PinnedMemory {
 public:
  /// `bytes` > 0. Throws signcclUnhandledCudaError, and what ContextScope throws.
  PinnedMemory(std::shared_ptr<Device> device, std::size_t bytes);
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  [[nodiscard]] std::byte* host() const { return static_cast<std::byte*>(host_); }

  /// What kernels and stream memory operations are given.
  [[nodiscard]] CudaDevicePointer address() const { return address_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<Device> device_;  ///< shared: its context must outlive the memory
  void* host_ = nullptr;
  CudaDevicePointer address_ = 0;
  std::size_t bytes_;
};

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_MEMORY_H_
