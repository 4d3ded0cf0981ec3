// SPDX-License-Identifier: Apache-2.0
// A stream that no work of the program delays, and that is not captured.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_OWN_STREAM_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_OWN_STREAM_H_

#include "nccl/back/cuda.h"
#include "nccl/back/failure.h"

namespace signccl::nccl_preload {

class OwnStream {
 public:
  /// Throws Failure.
  explicit OwnStream(int device) : device_(device) {
    constexpr unsigned int kNonBlocking = 1;
    const DeviceScope scope(device);
    expectCudaSuccess(cuda().cuStreamCreateWithPriority(&stream_, kNonBlocking, 0), "cuStreamCreateWithPriority");
  }
  ~OwnStream() {
    try {
      const DeviceScope scope(device_);
      cuda().cuStreamDestroy(stream_);  // does not wait for what is left on it
    } catch (const Failure&) {
      return;  // the context is gone, and the stream with it
    }
  }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;

  [[nodiscard]] Stream get() const { return stream_; }

 private:
  int device_;
  Stream stream_ = nullptr;
};

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_OWN_STREAM_H_
