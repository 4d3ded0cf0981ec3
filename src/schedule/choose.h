// SPDX-License-Identifier: Apache-2.0
// Which algorithm to use, from the cost model.
#ifndef SIGNCCL_SCHEDULE_CHOOSE_H_
#define SIGNCCL_SCHEDULE_CHOOSE_H_

#include <cstddef>

#include "schedule/algorithm.h"
#include "schedule/cost.h"

namespace signccl {

/// The algorithm with the least estimated time; the first in the order of the enumeration if several have it.
/// Hierarchical is a candidate only with several nodes of which one has several ranks, k-nomial only above 8 ranks.
/// Deterministic: ranks that give the same arguments get the same answer, on every machine with IEEE arithmetic. Takes
/// about 30 ns per rank, so callers with hundreds of ranks keep the answer for a size.
Algorithm chooseAlgorithm(const Topology& topology, const CountRules& rules, std::size_t count, const CostModel& model);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_CHOOSE_H_
