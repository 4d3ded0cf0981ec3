// The kernels at both ends of a slice: they turn elements into planes of signs, and results into elements.
#ifndef SIGNCCL_STREAM_SLICE_KERNELS_H_
#define SIGNCCL_STREAM_SLICE_KERNELS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "exec/batch.h"
#include "schedule/chunk.h"
#include "stream/device_table.h"
#include "stream/stream_device.h"

namespace signccl {

/// For one rank on one device. One thread at a time, in a ContextScope of the device.
class SliceKernels {
 public:
  explicit SliceKernels(std::shared_ptr<StreamDevice> device) : device_(std::move(device)) {}

  /// Makes what decoding this batch needs and earlier ones did not, and enqueues copies of it. Before decode().
  void prepare(const Batch& batch, CudaStream stream);

  /// Enqueues the encoding of words of the batch into `planes`, each of words.size words: the positive and the
  /// nonnegative signs if they are ternary, else the signs. The sources are elements that the device reaches.
  void encode(const Batch& batch, WordRange words, CudaDevicePointer planes, CudaStream stream) const;

  /// Enqueues the decoding of words of the batch from `planes`, externalResultPlanes() of words.size words each. Writes
  /// nothing if `*status`, which the device reads, is not 0 by then.
  void decode(const Batch& batch, WordRange words, CudaDevicePointer planes, const std::uint32_t* status,
              CudaStream stream) const;

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
