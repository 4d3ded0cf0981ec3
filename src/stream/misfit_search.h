// SPDX-License-Identifier: Apache-2.0
// Where the first element is that is no sign, in memory that a device reads. The check of a sum says only whether there
// is one. So kernels check parts of the elements, then parts of the first part that does not fit, until what is left is
// small enough to be looked at on the host.
#ifndef SIGNCCL_STREAM_MISFIT_SEARCH_H_
#define SIGNCCL_STREAM_MISFIT_SEARCH_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "device/memory.h"
#include "stream/stream_device.h"

namespace signccl {

/// The elements of a sum in memory that the device reads.
struct SummedElements {
  ElementType type = ElementType::kFloat32;
  const void* begin = nullptr;
  std::size_t count = 0;
  int votes_per_rank = 1;
};

/// Some of them, copied to host memory.
struct ElementSample {
  std::size_t first = 0;  ///< number of the first one
  std::size_t count = 0;
  const void* elements = nullptr;  ///< valid until the next search
};

/// One thread at a time, in a ContextScope of the device.
class MisfitSearch {
 public:
  /// Makes all memory that a search needs, since a stream may wait for something when one begins. Throws what
  /// PinnedMemory throws.
  explicit MisfitSearch(std::shared_ptr<StreamDevice> device);

  /// Waits for the stream, and again while it checks parts. Gives elements of which one does not fit and before which
  /// all do; nothing if all fit. Throws signcclUnhandledCudaError, and signcclTimeout after the deadline.
  std::optional<ElementSample> find(const SummedElements& summed, CudaStream stream,
                                    std::chrono::steady_clock::time_point deadline);

  /// Gives away the memory, which kernels on streams may still use after a timeout.
  void giveAway(std::vector<std::shared_ptr<const void>>& memory) { memory.push_back(std::move(memory_)); }

 private:
  struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  struct Words;

  std::optional<Range> narrow(const SummedElements& summed, Range range, CudaStream stream,
                              std::chrono::steady_clock::time_point deadline);
  void awaitStream(CudaStream stream, std::chrono::steady_clock::time_point deadline);
  [[nodiscard]] CudaDevicePointer addressOf(const void* host) const;
  [[nodiscard]] Words& words() const;

  const std::shared_ptr<StreamDevice> device_;
  std::shared_ptr<PinnedMemory> memory_;  ///< words, then a sample
  std::uint32_t number_ = 0;              ///< of the last step
};

}  // namespace signccl

#endif  // SIGNCCL_STREAM_MISFIT_SEARCH_H_
