// SPDX-License-Identifier: Apache-2.0
// Kernels that turn elements into planes of signs, and results into elements.
#ifndef SIGNCCL_STREAM_SLICE_KERNELS_H_
#define SIGNCCL_STREAM_SLICE_KERNELS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "stream/device_table.h"
#include "stream/end_kernels.h"
#include "stream/stream_device.h"

namespace signccl {

/// The sources and sinks of batches are elements in memory that the device reaches.
class SliceKernels final : public EndKernels {
 public:
  explicit SliceKernels(std::shared_ptr<StreamDevice> device) : device_(std::move(device)) {}

  void prepare(const Batch& batch, CudaStream stream) override;
  void encode(const Batch& batch, WordRange words, CudaDevicePointer planes, CudaStream stream) const override;
  void decode(const Batch& batch, WordRange words, CudaDevicePointer planes, const DecodeGuards& guards,
              CudaStream stream) const override;

  /// Gives away all device memory, which kernels on streams may still use.
  [[nodiscard]] std::vector<std::shared_ptr<const void>> release();

 private:
  const std::shared_ptr<StreamDevice> device_;
  std::array<std::shared_ptr<const DeviceTable>, kNumElementTypes> tables_;  ///< of averages, by type
  CountRules table_rules_;
  std::vector<std::shared_ptr<const void>> outgrown_;  ///< tables of other rules
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_SLICE_KERNELS_H_
