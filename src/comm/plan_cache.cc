// SPDX-License-Identifier: Apache-2.0
#include "comm/plan_cache.h"

namespace signccl {

PlanCache::PlanCache(Rank rank, const Topology& topology) : rank_(rank), topology_(topology) {}

const Plan& PlanCache::plan(Algorithm algorithm, const CountRules& rules, EndsKind ends) {
  const Key key{algorithm, rules.op, rules.votes_per_rank, rules.ternary_result, ends};
  const auto known = plans_.find(key);
  if (known != plans_.end()) return known->second;
  return plans_.emplace(key, compilePlan(buildSchedule(algorithm, rank_, topology_), rules, ends)).first->second;
}

}  // namespace signccl
