// SPDX-License-Identifier: Apache-2.0
// What a rank has of its GPU: the context, a stream, and memory for elements.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_RANK_GPU_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_RANK_GPU_H_

#include <cstddef>
#include <memory>

#include "device/memory.h"
#include "device/stream.h"
#include "sign_all_reduce_perf/element_memory.h"

namespace signccl::perf {

/// Lives in the rank's thread, whose current context is that of the GPU meanwhile.
class RankGpu {
 public:
  /// Throws the library's Error.
  explicit RankGpu(int ordinal);

  [[nodiscard]] CudaStream stream() const { return stream_.handle(); }

  /// Waits for all that is on the stream. Throws std::runtime_error if CUDA has failed.
  void synchronize() const;

  /// Zeros. Throws the library's Error, and std::runtime_error if a copy fails.
  [[nodiscard]] std::unique_ptr<ElementMemory> allocate(std::size_t bytes) const;

 private:
  std::shared_ptr<Device> device_;  // shared: memory that outlives the rank keeps it
  ContextScope scope_;
  Stream stream_;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_RANK_GPU_H_
