// SPDX-License-Identifier: Apache-2.0
// What a run measures, in order, and the memory it needs.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_PLAN_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_PLAN_H_

#include <cstddef>
#include <vector>

#include "sign_all_reduce_perf/options.h"
#include "signccl/signccl.h"

namespace signccl::perf {

/// One row of the table.
struct Case {
  SignOp op = SignOp::kVote;
  signcclDataType_t sendtype = signcclFloat32;
  signcclDataType_t recvtype = signcclFloat32;
  std::size_t count = 0;
};

/// Rows of one type and operation, by size; warmed up together.
struct Sweep {
  std::vector<Case> warmup;  ///< sizes that double
  std::vector<Case> timed;
};

/// Bytes of one rank's two buffers.
struct BufferSizes {
  std::size_t send_bytes = 0;
  std::size_t recv_bytes = 0;  ///< of in-place calls too
};

/// Calls that may be under way at once on one rank; each has its own slot of the buffers.
std::size_t callsInFlight(const Options& options);

/// Types in the outer loop, operations in the inner one.
std::vector<Sweep> planSweeps(const Options& options);

/// What the largest case needs.
BufferSizes bufferSizes(const std::vector<Sweep>& sweeps, std::size_t slots);

/// Bytes from one slot to the next in a buffer of elements of `type`: whole cache lines.
std::size_t slotBytes(signcclDataType_t type, std::size_t count);

/// Lowers options.max_bytes so that the buffers of the `nranks` ranks of a machine fit into its `available_bytes`.
/// Throws OptionError if not even min_bytes fits.
void fitIntoMemory(Options& options, int nranks, std::size_t available_bytes);

/// Memory that can be had without swapping, as the system estimates it, less a fifth for the library's scratch.
std::size_t availableMemory();

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_PLAN_H_
