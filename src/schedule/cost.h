// How long an algorithm takes, roughly: latency per hop, work per message, time per byte. Closed forms, no schedules.
#ifndef SIGNCCL_SCHEDULE_COST_H_
#define SIGNCCL_SCHEDULE_COST_H_

#include <cstddef>
#include <cstdint>

#include "schedule/algorithm.h"
#include "schedule/width.h"
#include "topology/topology.h"

namespace signccl {

/// Between two ranks: a message of b bytes costs latency_us + per_message_us + b * ns_per_byte / 1000; messages that a
/// rank exchanges at the same time share one latency.
struct LinkCost {
  double latency_us = 0;
  double per_message_us = 0;  ///< processor time, at one end
  double ns_per_byte = 0;     ///< of one direction; the other one runs at the same time
};

struct CostModel {
  LinkCost local;                ///< between ranks of a node; each rank has its own
  LinkCost remote;               ///< between nodes; the ranks of a node share it
  double ns_per_plane_word = 0;  ///< counting: one word of one input plane
};

/// Threads of one process: a message is a copy in memory.
inline constexpr LinkCost kLoopbackLink{1.0, 0.5, 0.1};
/// Processes of one machine.
inline constexpr LinkCost kShmLink{1.5, 1.0, 0.2};
inline constexpr LinkCost kTcp10GbitLink{20.0, 5.0, 0.8};
inline constexpr LinkCost kTcp1GbitLink{20.0, 5.0, 8.0};
/// Carry-save counting in cache, 8 inputs at 80 G elements/s.
inline constexpr double kCountNsPerPlaneWord = 0.1;

/// Of the busiest rank.
struct CostEstimate {
  std::int64_t messages = 0;  ///< sent
  std::uint64_t bytes = 0;    ///< sent
  double time_us = 0;
};

/// Exact in messages and bytes where the chunks are equal (and, for knomial and hierarchical, the parts and the
/// nodes are); otherwise an approximation. The time adds up the phases as if none overlapped, and takes it that ranks
/// with consecutive numbers share nodes. Takes time in proportion to the number of ranks.
CostEstimate estimate(Algorithm algorithm, const Topology& topology, const CountRules& rules, std::size_t count,
                      const CostModel& model);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_COST_H_
