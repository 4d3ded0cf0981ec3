// SPDX-License-Identifier: Apache-2.0
// Streams that are being captured into a CUDA graph.
#ifndef SIGNCCL_DEVICE_CAPTURE_H_
#define SIGNCCL_DEVICE_CAPTURE_H_

#include <optional>

#include "device/device.h"

namespace signccl {

/// A capture under way.
struct StreamCapture {
  unsigned long long id = 0;  ///< no two captures of a process have the same
  CudaGraph graph = nullptr;  ///< to which operations of the stream are added
};

/// The capture of a stream, or nothing. With the device's context. Throws signcclInvalidUsage if an operation that a
/// capture forbids has invalidated it, and signcclUnhandledCudaError.
std::optional<StreamCapture> captureOf(const Device& device, CudaStream stream);

/// Throws signcclInvalidUsage if the stream is being captured. `what` cannot be, for the text: "Lion steps". Else as
/// captureOf().
void refuseCapture(const Device& device, CudaStream stream, const char* what);

/// While the object lives, this thread may allocate memory, load kernels and ask for events although streams are being
/// captured, by this thread or another. What is done so must not be meant for a graph: CUDA forbids it by default since
/// a program may expect that it is captured. Lives in one thread; objects end in the reverse order of their making.
class RelaxedCapture {
 public:
  /// Throws signcclUnhandledCudaError: what follows would make a capture invalid.
  explicit RelaxedCapture(const CudaDriver& driver);
  ~RelaxedCapture() { driver_.cuThreadExchangeStreamCaptureMode(&mode_); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  const CudaDriver& driver_;
  CudaCaptureMode mode_ = CudaCaptureMode::kRelaxed;  ///< that to set; then that of before
};

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_CAPTURE_H_
