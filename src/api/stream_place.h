// Where a call is carried out: in host memory by threads, or on a stream of a device.
#ifndef SIGNCCL_API_STREAM_PLACE_H_
#define SIGNCCL_API_STREAM_PLACE_H_

#include <span>

#include "device/buffers.h"
#include "device/driver.h"
#include "signccl/signccl.h"

namespace signccl {

struct StreamPlace {
  int device = kHostBuffers;  ///< ordinal
  CudaStream stream = nullptr;

  [[nodiscard]] bool isOnStream() const { return device != kHostBuffers; }
  friend bool operator==(const StreamPlace&, const StreamPlace&) = default;
};

/// True if a call can only be one of host memory: no stream is given, and the process has no CUDA driver, so that no
/// buffer can be of a device.
inline bool isSurelyOnHost(signcclStream_t stream) { return stream == nullptr && loadedCudaDriver() == nullptr; }

/// Where a call with these buffers and this stream is carried out: on a stream if a buffer is in device memory, or if
/// there is a stream and all are in pinned memory. Throws signcclInvalidArgument for buffers that cannot be used
/// together or on this stream, and what deviceOfBuffers() and checkStream() throw.
StreamPlace streamPlaceOf(std::span<const UserBuffer> buffers, signcclStream_t stream);

}  // namespace signccl

#endif  // SIGNCCL_API_STREAM_PLACE_H_
