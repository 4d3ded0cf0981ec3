// SPDX-License-Identifier: Apache-2.0
// The schedules of all ranks, for tests.
#ifndef SIGNCCL_TESTS_SCHEDULE_BUILD_ALL_H_
#define SIGNCCL_TESTS_SCHEDULE_BUILD_ALL_H_

#include <string>
#include <vector>

#include "schedule/algorithm.h"

namespace signccl {

inline std::vector<Schedule> buildAll(Algorithm algorithm, const Topology& topology) {
  std::vector<Schedule> schedules;
  for (Rank rank = 0; rank < topology.nranks(); ++rank) {
    schedules.push_back(buildSchedule(algorithm, rank, topology));
  }
  return schedules;
}

/// Topologies of `nranks` ranks that differ in kind: one node, one rank per node, equal and unequal nodes, ranks dealt
/// out.
inline std::vector<Topology> topologiesOf(int nranks) {
  std::vector<int> dealt_out;
  std::vector<int> growing;
  for (int rank = 0, node = 0, left = 1; rank < nranks; ++rank) {
    dealt_out.push_back(rank % 3);
    growing.push_back(node);
    if (--left == 0) left = ++node + 1;
  }
  return {Topology::singleNode(nranks), Topology::uniform(nranks, 1), Topology::uniform(nranks, 4),
          Topology::uniform(nranks, 7), Topology(dealt_out),          Topology(growing)};
}

/// A name for messages of failed tests.
inline std::string nameOf(Algorithm algorithm, const Topology& topology) {
  return std::string(algorithmName(algorithm)) + ", " + std::to_string(topology.nranks()) + " ranks on " +
         std::to_string(topology.nnodes()) + " nodes";
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SCHEDULE_BUILD_ALL_H_
