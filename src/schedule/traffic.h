// SPDX-License-Identifier: Apache-2.0
// What a schedule puts on the wire, exactly, for one size and kind of collective.
#ifndef SIGNCCL_SCHEDULE_TRAFFIC_H_
#define SIGNCCL_SCHEDULE_TRAFFIC_H_

#include <cstddef>
#include <cstdint>

#include "schedule/schedule.h"
#include "schedule/width.h"
#include "topology/topology.h"

namespace signccl {

/// Of one rank.
struct Traffic {
  std::int64_t steps = 0;
  std::int64_t messages_sent = 0;
  std::uint64_t bytes_sent = 0;         ///< payload, without headers of the transport
  std::uint64_t remote_bytes_sent = 0;  ///< the part of bytes_sent that goes to other nodes
  std::uint64_t bytes_received = 0;
};

/// Traffic of the schedule's rank in a collective of `count` elements that is not cut into slices.
Traffic trafficOf(const Schedule& schedule, const Topology& topology, const CountRules& rules, std::size_t count);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_TRAFFIC_H_
