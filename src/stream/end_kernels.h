// SPDX-License-Identifier: Apache-2.0
// Who encodes and decodes the slices of a call on a stream: kernels for elements, or for the tensors of an optimizer.
#ifndef SIGNCCL_STREAM_END_KERNELS_H_
#define SIGNCCL_STREAM_END_KERNELS_H_

#include <cstdint>

#include "device/driver_types.h"
#include "exec/batch.h"
#include "schedule/chunk.h"

namespace signccl {

/// Words in memory that the device reads, which keep a kernel from writing results if they are not 0 when it runs.
struct DecodeGuards {
  const std::uint32_t* status = nullptr;  ///< of the exchange; of one of sums [segments], one for each
  const std::uint32_t* veto = nullptr;    ///< or null: the status says it, too, if a rank has vetoed
};

/// For one rank on one device. One thread at a time, in a ContextScope of the device. All functions throw
/// signcclUnhandledCudaError.
class EndKernels {
 public:
  virtual ~EndKernels() = default;

  /// Makes what the batch needs and earlier ones did not, and enqueues what fills it. Before encode() and decode().
  virtual void prepare(const Batch& batch, CudaStream stream) = 0;

  /// Enqueues the encoding of words of the batch into `planes`, each of words.size words: the positive and the
  /// nonnegative signs if they are ternary, else the signs. Words beyond the end of the batch are padding, which is not
  /// written.
  virtual void encode(const Batch& batch, WordRange words, CudaDevicePointer planes, CudaStream stream) const = 0;

  /// Enqueues the decoding of words of the batch from `planes`, externalResultPlanes() of words.size words each. Only
  /// steps have vetoes.
  virtual void decode(const Batch& batch, WordRange words, CudaDevicePointer planes, const DecodeGuards& guards,
                      CudaStream stream) const = 0;
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_END_KERNELS_H_
