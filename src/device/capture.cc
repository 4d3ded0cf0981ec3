// SPDX-License-Identifier: Apache-2.0
#include "device/capture.h"

#include <string>

#include "base/error.h"
#include "device/driver_error.h"

namespace signccl {

std::optional<StreamCapture> captureOf(const Device& device, CudaStream stream) {
  const CudaDriver& driver = device.driver();
  CudaCaptureStatus status = CudaCaptureStatus::kNone;
  checkCuda(driver, driver.cuStreamIsCapturing(stream, &status), "cuStreamIsCapturing", "on ", device);
  if (status == CudaCaptureStatus::kNone) return std::nullopt;
  StreamCapture capture;
  if (status == CudaCaptureStatus::kActive) {
    checkCuda(driver, driver.cuStreamGetCaptureInfo(stream, &status, &capture.id, &capture.graph, nullptr, nullptr),
              "cuStreamGetCaptureInfo", "on ", device);
  }
  if (status == CudaCaptureStatus::kInvalidated) {
    throw Error(signcclInvalidUsage,
                "the capture of the stream into a CUDA graph is invalid, since an operation was called that captures "
                "forbid: end it and capture again");
  }
  return capture;
}

RelaxedCapture::RelaxedCapture(const CudaDriver& driver) : driver_(driver) {
  checkCuda(driver_, driver_.cuThreadExchangeStreamCaptureMode(&mode_), "cuThreadExchangeStreamCaptureMode",
            "to relaxed");
}

void refuseCapture(const Device& device, CudaStream stream, const char* what) {
  if (!captureOf(device, stream)) return;
  throw Error(signcclInvalidUsage, std::string("the stream is being captured into a CUDA graph, which ") + what +
                                       " do not support: make them outside of the capture");
}

}  // namespace signccl
