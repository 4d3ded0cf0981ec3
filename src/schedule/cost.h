// SPDX-License-Identifier: Apache-2.0
// How long an algorithm takes, roughly: latency per hop, work per message, time per byte. Closed forms, no schedules.
#ifndef SIGNCCL_SCHEDULE_COST_H_
#define SIGNCCL_SCHEDULE_COST_H_

#include <cstddef>
#include <cstdint>

#include "schedule/algorithm.h"
#include "schedule/width.h"
#include "topology/topology.h"

namespace signccl {

/// What it takes to move messages between two ranks. A rank that sends messages receives as many at the same time, so
/// the processor's part is that of one sent and one received.
struct LinkCost {
  double latency_us = 0;             ///< until the first byte is there; messages under way at the same time share it
  double per_message_us = 0;         ///< of the processor
  double ns_per_byte = 0;            ///< of one direction of the link; the other one runs at the same time
  double processor_ns_per_byte = 0;  ///< of the processor, at the same time as the link
};

struct CostModel {
  LinkCost local;                ///< between ranks of a node; each rank has its own
  LinkCost remote;               ///< between nodes; the ranks of a node share it
  double ns_per_plane_word = 0;  ///< counting: one word of one input plane
  double ranks_per_core = 1;     ///< where cores are shared by most ranks, at least 1: these work one after the other
  std::size_t slice_words = 0;   ///< see sliceCount()
};

/// Threads of one process: a message is a copy in memory.
inline constexpr LinkCost kLoopbackLink{1.0, 0.5, 0.1, 0};
/// Processes of one machine.
inline constexpr LinkCost kShmLink{1.5, 1.0, 0.2, 0};
/// Processes of several machines, over TCP. Fitted to four hosts of tools/hosts on two cores (docs/performance.md),
/// where the kernel's work for both ends is on the same cores.
inline constexpr LinkCost kTcp10GbitLink{12.0, 9.0, 0.8, 0.5};
inline constexpr LinkCost kTcp1GbitLink{12.0, 9.0, 8.0, 0.5};
/// Carry-save counting in cache, 8 inputs at 80 G elements/s.
inline constexpr double kCountNsPerPlaneWord = 0.1;

/// Of the busiest rank.
struct CostEstimate {
  std::int64_t messages = 0;  ///< sent
  std::uint64_t bytes = 0;    ///< sent
  double time_us = 0;
};

/// Exact in messages and bytes where the chunks are equal (and, for knomial and hierarchical, the parts and the
/// nodes are); otherwise an approximation. The time adds up the phases of a slice as if none overlapped, and assumes
/// that consecutive ranks share nodes. Runs in time proportional to the number of ranks.
CostEstimate estimate(Algorithm algorithm, const Topology& topology, const CountRules& rules, std::size_t count,
                      const CostModel& model);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_COST_H_
