// SPDX-License-Identifier: Apache-2.0
// Where a call is carried out: in host memory by threads, or on a stream of a device.
#ifndef SIGNCCL_API_STREAM_PLACE_H_
#define SIGNCCL_API_STREAM_PLACE_H_

#include <cstddef>
#include <span>
#include <string>

#include "device/buffers.h"
#include "device/driver.h"
#include "device/pointer.h"
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
inline bool isSurelyOnHost(signcclStream_t stream) { return stream == nullptr && !mayHaveDeviceMemory(); }

/// Throws signcclInvalidArgument: the buffer is on that device. `why` says what the call takes.
[[noreturn]] void refuseDevice(const std::string& buffer, int device, const char* why);

/// Where a call with these buffers and this stream is carried out: on a stream if a buffer is in device memory, or if
/// there is a stream and all are in pinned memory. Throws signcclInvalidArgument for buffers that cannot be used
/// together or on this stream, and what deviceOfBuffers() and checkStream() throw.
StreamPlace streamPlaceOf(std::span<const UserBuffer> buffers, signcclStream_t stream);

/// Throws signcclInvalidArgument for a buffer in device memory, which a call does not take. `nameOf()` gives its name,
/// which is needed for the text alone, as is `why`.
template <typename NameOf>
void requireOnHost(const void* buffer, std::size_t bytes, const char* why, const NameOf& nameOf) {
  if (bytes == 0 || !mayHaveDeviceMemory()) return;
  const PointerFacts facts = describePointer(buffer, bytes);
  if (facts.kind == PointerKind::kDevice || facts.kind == PointerKind::kUnmapped) {
    refuseDevice(nameOf(), facts.device, why);
  }
}

}  // namespace signccl

#endif  // SIGNCCL_API_STREAM_PLACE_H_
