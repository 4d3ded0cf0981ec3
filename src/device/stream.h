// SPDX-License-Identifier: Apache-2.0
// Streams of our own, and operations by which a stream and the host wait for each other.
#ifndef SIGNCCL_DEVICE_STREAM_H_
#define SIGNCCL_DEVICE_STREAM_H_

#include <memory>
#include <span>

#include "device/device.h"

namespace signccl {

/// A stream of the device's primary context that waits for no other. Like memory it is made before the first use of a
/// device: while a stream waits for a peer the driver may not come back.
class Stream {
 public:
  /// Throws signcclUnhandledCudaError, and what ContextScope throws.
  explicit Stream(std::shared_ptr<Device> device);

  /// What is on it is carried out nevertheless.
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  [[nodiscard]] CudaStream handle() const { return handle_; }

 private:
  std::shared_ptr<Device> device_;  ///< shared: its context must outlive the stream
  CudaStream handle_ = nullptr;
};

/// The stream waits until the 32-bit word at `address` is `value` or up to 2^31 - 1 ahead of it.
CudaMemoryOperationParams waitUntilReached(CudaDevicePointer address, std::uint32_t value) noexcept;

/// The stream waits until the 32-bit word at `address` is `value`.
CudaMemoryOperationParams waitUntilEqual(CudaDevicePointer address, std::uint32_t value) noexcept;

/// The stream writes `value` to the 32-bit word at `address`, after all that it has written before.
CudaMemoryOperationParams writeValue(CudaDevicePointer address, std::uint32_t value) noexcept;

/// Enqueues operations in their order. They are read before this returns. Throws signcclUnhandledCudaError, and what
/// ContextScope throws.
void enqueueMemoryOperations(const Device& device, CudaStream stream, std::span<CudaMemoryOperationParams> operations);

/// Whether streams of the device carry out memory operations, which no attribute tells: tries them, for up to two
/// seconds where they do not go on. Throws what making a stream and pinned memory throws.
bool supportsMemoryOperations(const std::shared_ptr<Device>& device);

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_STREAM_H_
