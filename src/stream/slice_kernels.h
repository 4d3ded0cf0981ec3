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

/// The sources and sinks of batches are elements in memory that the device reaches. For batches of one communicator.
class SliceKernels final : public EndKernels {
 public:
  explicit SliceKernels(std::shared_ptr<StreamDevice> device) : device_(std::move(device)) {}

  void prepare(const Batch& batch, CudaStream stream) override;
  void encode(const Batch& batch, WordRange words, CudaDevicePointer planes, CudaStream stream) const override;
  void decode(const Batch& batch, WordRange words, CudaDevicePointer planes, const DecodeGuards& guards,
              CudaStream stream) const override;

  /// Enqueues the check of all values of a sum; see CheckSignsArguments. `met`: two words for each segment.
  void check(const Batch& batch, std::uint32_t* met, std::uint32_t value, CudaStream stream) const;

  /// Gives away all device memory, which kernels on streams may still use.
  [[nodiscard]] std::vector<std::shared_ptr<const void>> release();

 private:
  using Tables = std::array<std::shared_ptr<const DeviceTable>, kNumElementTypes>;  ///< by type of the elements

  [[nodiscard]] static std::size_t tablesOf(const Batch& batch);

  const std::shared_ptr<StreamDevice> device_;
  /// By tablesOf(): of averages, and of sums, with binary and with ternary signs. All are of one number of ranks.
  std::array<Tables, 4> tables_;
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_SLICE_KERNELS_H_
