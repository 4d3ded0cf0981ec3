// SPDX-License-Identifier: Apache-2.0
// The buffers of one call: whether they can be used together, and on which device.
#ifndef SIGNCCL_DEVICE_BUFFERS_H_
#define SIGNCCL_DEVICE_BUFFERS_H_

#include <cstddef>
#include <span>

#include "device/device.h"

namespace signccl {

/// A buffer as the user gave it.
struct UserBuffer {
  const char* name = "";          ///< for texts: "sendbuff"
  const void* pointer = nullptr;  ///< may be null if `bytes` is 0
  std::size_t bytes = 0;
  std::size_t element_bytes = 1;  ///< to which device memory must be aligned
  std::ptrdiff_t index = -1;      ///< if `name` is that of an array of buffers: which one this is
};

/// Ordinal of the device in whose memory buffers are, if they are in host memory.
inline constexpr int kHostBuffers = -1;

/// The device of the buffers of one call, or kHostBuffers; buffers of no bytes are anywhere. With device memory, pinned
/// memory may take part. Any thread.
///
/// Throws signcclInvalidArgument, naming buffer, kind of memory, device and what to do, for managed memory, device
/// memory that is not aligned to its elements or ends too early, memory that is freed or has never been, device memory
/// beside pageable memory, and memory of two devices; and what describePointer() throws.
int deviceOfBuffers(std::span<const UserBuffer> buffers);

/// Throws signcclInvalidArgument unless `stream`, which may be one of the default streams, belongs to the primary
/// context of the device, saying to which device it belongs. Any thread; not for a stream that is destroyed.
void checkStream(const Device& device, CudaStream stream);

/// Ordinal of the device to which a stream belongs. Throws signcclUnhandledCudaError; not for a stream that is
/// destroyed.
int deviceOfStream(CudaStream stream);

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_BUFFERS_H_
