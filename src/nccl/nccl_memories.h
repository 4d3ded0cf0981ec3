// SPDX-License-Identifier: Apache-2.0
// The memories of a rank's calls over NCCL, which serve one call after the other.
#ifndef SIGNCCL_NCCL_NCCL_MEMORIES_H_
#define SIGNCCL_NCCL_NCCL_MEMORIES_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "nccl/nccl_lane.h"
#include "nccl/nccl_memory.h"
#include "stream/stream_device.h"

namespace signccl {

/// A memory, and who uses it.
struct NcclRoom {
  std::shared_ptr<NcclMemory> memory;
  std::shared_ptr<NcclLane> lane;  ///< null before a call has needed it
  CudaEvent last_use = nullptr;    ///< recorded behind the latest call
  std::uint32_t number = 0;        ///< of the latest call
  bool is_taken = false;           ///< by a call whose back is not enqueued
};

/// One thread at a time, in a ContextScope of the device.
class NcclMemories {
 public:
  /// Throws signcclUnhandledCudaError.
  explicit NcclMemories(std::shared_ptr<StreamDevice> device);
  /// Keeps memory of the device as long as its own.
  void keepAlso(std::vector<std::shared_ptr<const void>> memory) { kept_also_ = std::move(memory); }

  /// What streams still use stays.
  ~NcclMemories();
  NcclMemories(const NcclMemories&) = delete;
  NcclMemories& operator=(const NcclMemories&) = delete;

  /// Lets what follows on the stream come after the calls before, which may be on other streams.
  void follow(CudaStream stream) const;

  /// Room for a call, to which it gives its number. It stays where it is. Throws what making memory throws.
  NcclRoom& take(std::size_t nwords);

  /// The room's lane, for a call with so many slices and buffers for results. Throws signcclUnhandledCudaError.
  NcclLane& laneOf(NcclRoom& room, std::size_t nslices, std::size_t nresults) const;

  /// Of planes, on the device.
  [[nodiscard]] std::size_t bytes() const;

  /// Everything that the call does is on the stream.
  void release(NcclRoom& room, CudaStream stream);

 private:
  NcclRoom& freeRoom(std::size_t nwords);
  void retire(NcclRoom& room) noexcept;

  const std::shared_ptr<StreamDevice> device_;
  const CudaEvent last_call_;  ///< recorded behind the latest call of all
  std::vector<std::unique_ptr<NcclRoom>> rooms_;
  std::vector<std::shared_ptr<const void>> kept_also_;
  CudaStream last_stream_ = nullptr;
  bool has_called_ = false;
};

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_MEMORIES_H_
