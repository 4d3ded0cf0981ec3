// SPDX-License-Identifier: Apache-2.0
// The algorithms by name, and the one function that builds their schedules. docs/algorithms.md describes them.
#ifndef SIGNCCL_SCHEDULE_ALGORITHM_H_
#define SIGNCCL_SCHEDULE_ALGORITHM_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/types.h"
#include "schedule/schedule.h"
#include "topology/topology.h"

namespace signccl {

enum class Algorithm : std::uint8_t {
  kOneShot,       ///< allgather of signs, everyone counts everything
  kDirect,        ///< all-to-all of sign chunks, count, allgather of results
  kRing,          ///< counters that widen from hop to hop, then results around the ring
  kTree,          ///< double binary tree
  kKnomial,       ///< recursive halving with up to 8 parts per level, and back
  kHierarchical,  ///< count within the nodes, exchange counts between them
};
inline constexpr int kNumAlgorithms = 6;

/// Every algorithm, in the order of the enumeration.
std::span<const Algorithm> allAlgorithms();

/// oneshot, direct, ring, tree, knomial or hierarchical.
std::string_view algorithmName(Algorithm algorithm);

/// All of those, for messages: "oneshot, direct, ...".
std::string algorithmNames();

/// The algorithm of that name, which is case-sensitive; nothing if there is none.
std::optional<Algorithm> parseAlgorithm(std::string_view name);

/// What `rank` does. Pure: every rank builds its own part from the same topology. Every algorithm works on every
/// topology, with one rank or many. Takes time and memory in proportion to the number of steps and ranks.
Schedule buildSchedule(Algorithm algorithm, Rank rank, const Topology& topology);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_ALGORITHM_H_
