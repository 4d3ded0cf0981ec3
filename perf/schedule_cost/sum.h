// SPDX-License-Identifier: Apache-2.0
// What an all-reduce costs that sums elements, as NCCL, MPI and Gloo have it. There is no such thing in the library; it
// is what a vote takes the place of.
#ifndef SIGNCCL_PERF_SCHEDULE_COST_SUM_H_
#define SIGNCCL_PERF_SCHEDULE_COST_SUM_H_

#include <array>
#include <cstddef>

#include "schedule/cost.h"
#include "topology/topology.h"

namespace signccl::perf {

struct SumType {
  const char* name;
  int bytes;  ///< of an element
};
inline constexpr std::array kSumTypes = {SumType{"fp32", 4}, SumType{"bf16", 2}};

/// A ring: 2 (N - 1) hops, in each of which a rank sends a chunk of count / N elements. Each hop costs the latency and
/// the processor time of a message. The link is used at its full rate: neither sums nor copies cost anything.
CostEstimate ringSum(const Topology& topology, std::size_t count, int element_bytes, const CostModel& model);

/// The least that any all-reduce can take which sums on the ranks, in us: the bytes of a ring at the full rate of the
/// link, and the hops of a tree there and back, 2 log2 N.
double fastestSumUs(const Topology& topology, std::size_t count, int element_bytes, const CostModel& model);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SCHEDULE_COST_SUM_H_
