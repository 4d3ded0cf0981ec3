// SPDX-License-Identifier: Apache-2.0
// The messages of a call: what each round gives to NCCL, in a group that is open.
#ifndef SIGNCCL_NCCL_NCCL_MESSAGES_H_
#define SIGNCCL_NCCL_NCCL_MESSAGES_H_

#include <cstddef>

#include "nccl/nccl_layout.h"
#include "nccl/nccl_memory.h"
#include "nccl/nccl_rank.h"

namespace signccl {

/// Refers to parts of the call. All functions throw what checkNccl() throws.
class NcclMessages {
 public:
  NcclMessages(NcclRank& rank, const NcclLayout& layout, const NcclMemory& memory, int votes_per_rank)
      : rank_(rank), layout_(layout), memory_(memory), planes_(static_cast<std::size_t>(votes_per_rank)) {}

  /// One shot: everybody gets the signs of all.
  void gatherSigns(std::size_t slice, CudaStream stream) const;
  /// Two phases: each rank gets the signs of its chunk. Also throws signcclUnhandledCudaError.
  void scatterSigns(std::size_t slice, CudaStream stream) const;
  /// ... and everybody gets the results of all chunks.
  void gatherResults(std::size_t slice, CudaStream stream) const;

  /// A word of each rank, to an offset of the memory. `what`: for errors.
  void gatherWord(const void* word, std::size_t offset, const char* what, CudaStream stream) const;

 private:
  void gather(const void* part, void* all, std::size_t nwords, const char* what, CudaStream stream) const;

  NcclRank& rank_;
  const NcclLayout& layout_;
  const NcclMemory& memory_;
  const std::size_t planes_;
};

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_MESSAGES_H_
