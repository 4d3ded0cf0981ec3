// SPDX-License-Identifier: Apache-2.0
// Votes of all ranks on a range of words -> the results of the range, by kernels on a device.
#ifndef SIGNCCL_NCCL_NCCL_COUNTING_H_
#define SIGNCCL_NCCL_NCCL_COUNTING_H_

#include "exec/batch.h"
#include "schedule/chunk.h"
#include "stream/stream_device.h"

namespace signccl {

/// What is counted, and where it goes; all in device memory.
struct NcclCount {
  const Batch& batch;
  WordRange words;    ///< of the batch; those beyond its end are padding
  ConstPlanes votes;  ///< one vote of one rank in each plane
  Planes results;     ///< externalResultPlanes(): positive and perhaps nonnegative of a vote, or counts of an average
  Word* counts = nullptr;  ///< room for fullPlanes() of words.size words, for votes with more than kMostDecidedInputs
  const std::uint32_t* replay = nullptr;  ///< of a call in a graph: the number of the replay
};

/// Enqueues it. With the device's context.
void enqueueCount(const StreamDevice& device, const NcclCount& count, CudaStream stream);

/// Words of all ranks, one of each, and where their disjunction goes. All in device memory.
struct NcclAny {
  ConstPlanes words;  ///< one in each plane
  Word* any;
  Word* counts;  ///< room for planesFor(words.nplanes) words
};

/// Enqueues it.
void enqueueAny(const StreamDevice& device, const NcclAny& any, CudaStream stream);

/// Enqueues the completion of averages that came modulo a power of two; see Kernels::restoreTop(). `signs`: those of
/// this rank; results.nplanes: complete.
void enqueueRestoreTop(const StreamDevice& device, ConstPlanes signs, Planes results, std::size_t nwords,
                       CudaStream stream);

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_COUNTING_H_
