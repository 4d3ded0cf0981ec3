// SPDX-License-Identifier: Apache-2.0
#include "comm/plan_cache.h"

#include <set>

#include <gtest/gtest.h>

namespace signccl {
namespace {

CountRules rulesOf(SignOp op, int nranks, int votes_per_rank = 1, bool ternary_result = false) {
  return {op, nranks, votes_per_rank, ternary_result};
}

TEST(PlanCacheTest, PlansAreBuiltOnceForEachAlgorithmAndRules) {
  PlanCache plans(1, Topology::singleNode(4));
  const Plan& vote = plans.plan(Algorithm::kDirect, rulesOf(SignOp::kVote, 4));
  const Plan& avg = plans.plan(Algorithm::kDirect, rulesOf(SignOp::kAvg, 4));
  const Plan& ternary = plans.plan(Algorithm::kDirect, rulesOf(SignOp::kVote, 4, 2));
  const Plan& with_zeros = plans.plan(Algorithm::kDirect, rulesOf(SignOp::kVote, 4, 2, true));
  const Plan& ring = plans.plan(Algorithm::kRing, rulesOf(SignOp::kVote, 4));
  EXPECT_EQ(&plans.plan(Algorithm::kDirect, rulesOf(SignOp::kVote, 4)), &vote);
  const Plan& external = plans.plan(Algorithm::kDirect, rulesOf(SignOp::kVote, 4), EndsKind::kExternal);
  const std::set<const Plan*> different = {&vote, &avg, &ternary, &with_zeros, &ring, &external};
  EXPECT_EQ(different.size(), 6U);
  EXPECT_TRUE(external.has_external_ends);
  EXPECT_FALSE(vote.has_external_ends);
  EXPECT_EQ(vote.rank, 1);
  EXPECT_EQ(avg.rules.op, SignOp::kAvg);
  EXPECT_EQ(ternary.rules.votes_per_rank, 2);
  EXPECT_TRUE(with_zeros.rules.ternary_result);
}

}  // namespace
}  // namespace signccl
