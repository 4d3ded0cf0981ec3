// SPDX-License-Identifier: Apache-2.0
#include "api/stream_place.h"

#include "base/error.h"

namespace signccl {
namespace {

/// Throws unless kernels reach a buffer that is in no device's memory.
void requirePinned(const UserBuffer& buffer) {
  if (buffer.bytes == 0) return;
  const PointerKind kind = describePointer(buffer.pointer, buffer.bytes).kind;
  if (kind == PointerKind::kPinned) return;
  throw Error(signcclInvalidArgument, std::string(buffer.name) + " is " + pointerKindName(kind) +
                                          " and stream is not NULL; expected device memory or memory of "
                                          "cudaMallocHost() for a call on a stream, or a NULL stream for a call that "
                                          "returns with the result");
}

}  // namespace

void refuseDevice(const std::string& buffer, int device, const char* why) {
  throw Error(signcclInvalidArgument,
              buffer + " is device memory of device " + std::to_string(device) + ", expected host memory: " + why);
}

StreamPlace streamPlaceOf(std::span<const UserBuffer> buffers, signcclStream_t stream) {
  if (stream != nullptr) requiredCudaDriver("stream");
  const int device = deviceOfBuffers(buffers);
  if (device != kHostBuffers) {
    checkStream(*Device::get(device), stream);
    return {device, stream};
  }
  if (stream == nullptr) return {};
  for (const UserBuffer& buffer : buffers) requirePinned(buffer);
  return {deviceOfStream(stream), stream};
}

}  // namespace signccl
