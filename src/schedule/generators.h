// SPDX-License-Identifier: Apache-2.0
// The generator of each algorithm, for algorithm.cc and the tests; others use buildSchedule.
#ifndef SIGNCCL_SCHEDULE_GENERATORS_H_
#define SIGNCCL_SCHEDULE_GENERATORS_H_

#include "base/types.h"
#include "schedule/schedule.h"
#include "topology/topology.h"

namespace signccl {

Schedule buildOneShot(Rank rank, int nranks);
Schedule buildDirect(Rank rank, int nranks);
Schedule buildRing(Rank rank, int nranks);
Schedule buildTree(Rank rank, int nranks);
Schedule buildKnomial(Rank rank, int nranks);
Schedule buildHierarchical(Rank rank, const Topology& topology);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_GENERATORS_H_
