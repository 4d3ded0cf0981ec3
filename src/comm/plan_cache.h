// SPDX-License-Identifier: Apache-2.0
// Keeps the compiled plans of a communicator.
#ifndef SIGNCCL_COMM_PLAN_CACHE_H_
#define SIGNCCL_COMM_PLAN_CACHE_H_

#include <map>
#include <tuple>
#include <utility>

#include "exec/plan.h"
#include "schedule/algorithm.h"
#include "topology/topology.h"

namespace signccl {

class PlanCache {
 public:
  PlanCache(Rank rank, const Topology& topology);

  /// The plan of this rank. Built at the first call for these rules, kept as long as the cache.
  const Plan& plan(Algorithm algorithm, const CountRules& rules, EndsKind ends = EndsKind::kOwn);

 private:
  using Key = std::tuple<Algorithm, SignOp, int, bool, EndsKind>;

  const Rank rank_;
  const Topology topology_;
  std::map<Key, Plan> plans_;
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_PLAN_CACHE_H_
