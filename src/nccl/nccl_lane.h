// SPDX-License-Identifier: Apache-2.0
// A stream beside the caller's, on which the messages of a call with several slices travel and are counted, while the
// caller's stream encodes later slices and decodes earlier ones; and the events by which the two wait for each other.
#ifndef SIGNCCL_NCCL_NCCL_LANE_H_
#define SIGNCCL_NCCL_NCCL_LANE_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "device/device.h"

namespace signccl {

/// For one call at a time. All functions throw signcclUnhandledCudaError; with the device's context and in relaxed
/// capture mode.
class NcclLane {
 public:
  explicit NcclLane(std::shared_ptr<Device> device);
  /// What is on the stream goes on.
  ~NcclLane();
  NcclLane(const NcclLane&) = delete;
  NcclLane& operator=(const NcclLane&) = delete;

  [[nodiscard]] CudaStream stream() const { return stream_; }

  /// Makes the events that a call with so many slices, and buffers for results, needs.
  void reserve(std::size_t nslices, std::size_t nresults);

  /// The caller's stream has encoded a slice; the lane waits for that.
  void noteEncoded(std::size_t slice, CudaStream caller) { record(encoded_[slice], caller); }
  void awaitEncoded(std::size_t slice) { letWait(stream_, encoded_[slice]); }

  /// The caller's stream has decoded what is in a buffer for results; the lane waits for that.
  void noteDecoded(std::size_t buffer, CudaStream caller) { record(decoded_[buffer], caller); }
  void awaitDecoded(std::size_t buffer) { letWait(stream_, decoded_[buffer]); }

  /// The caller's stream waits for all that is on the lane.
  void join(CudaStream caller) {
    record(joined_.front(), stream_);
    letWait(caller, joined_.front());
  }

 private:
  void makeEvents(std::vector<CudaEvent>& events, std::size_t count);
  void record(CudaEvent event, CudaStream stream) const;
  void letWait(CudaStream stream, CudaEvent event) const;
  void release() noexcept;

  const std::shared_ptr<Device> device_;
  CudaStream stream_ = nullptr;
  std::vector<CudaEvent> encoded_;  ///< [slice]
  std::vector<CudaEvent> decoded_;  ///< [buffer for results]
  std::vector<CudaEvent> joined_;   ///< one
};

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_LANE_H_
