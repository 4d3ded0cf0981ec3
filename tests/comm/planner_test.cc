#include "comm/planner.h"

#include <algorithm>
#include <functional>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/kernels.h"
#include "schedule/choose.h"

namespace signccl {
namespace {

constexpr CostModel kModel{kLoopbackLink, kLoopbackLink, kCountNsPerPlaneWord};

CountRules rulesOf(SignOp op, int nranks, int votes_per_rank = 1, bool ternary_result = false) {
  return {op, nranks, votes_per_rank, ternary_result};
}

TEST(PlannerTest, ForcedAlgorithmServesEverySize) {
  Planner planner(0, Topology::singleNode(4), kModel, Algorithm::kRing);
  for (const std::size_t nwords : {1U, 1'000U, 1'000'000U}) {
    EXPECT_EQ(planner.choose(rulesOf(SignOp::kVote, 4), nwords), Algorithm::kRing);
  }
}

TEST(PlannerTest, ChoiceIsThatOfTheCostModelHoweverManySizesAlternate) {
  const Topology topology = Topology::singleNode(12);
  Planner planner(3, topology, kModel, std::nullopt);
  std::vector<Algorithm> seen;
  for (int round = 0; round < 2; ++round) {
    // Many more sizes than the planner remembers.
    for (std::size_t nwords = 1; nwords < 1'000'000; nwords += 1 + nwords / 40) {
      for (const CountRules& rules :
           {rulesOf(SignOp::kVote, 12), rulesOf(SignOp::kVote, 12, 2, true), rulesOf(SignOp::kAvg, 12)}) {
        const Algorithm expected = chooseAlgorithm(topology, rules, nwords * kWordBits, kModel);
        ASSERT_EQ(planner.choose(rules, nwords), expected);
        ASSERT_EQ(planner.choose(rules, nwords), expected) << "the second time";
        seen.push_back(expected);
      }
    }
  }
  EXPECT_NE(std::ranges::find(seen, Algorithm::kDirect), seen.end());
  EXPECT_NE(std::ranges::adjacent_find(seen, std::ranges::not_equal_to()), seen.end())
      << "only one algorithm was chosen";
}

TEST(PlannerTest, TuningTableGoesBeforeTheCostModelWhereItSaysAnything) {
  const auto table = TuningTable::parse(
      R"({"format": "signccl-tuning", "version": 1, "groups": [{"collective": "vote", "nranks": 4, "nnodes": 1,)"
      R"( "choices": [{"from_count": 0, "algorithm": "ring"}, {"from_count": 6400, "algorithm": "tree"}]}]})",
      "t.json");
  const Topology topology = Topology::singleNode(4);
  Planner planner(0, topology, kModel, std::nullopt, table);
  EXPECT_EQ(planner.choose(rulesOf(SignOp::kVote, 4), 99), Algorithm::kRing);
  EXPECT_EQ(planner.choose(rulesOf(SignOp::kVote, 4), 100), Algorithm::kTree);
  EXPECT_EQ(planner.choose(rulesOf(SignOp::kAvg, 4), 100),
            chooseAlgorithm(topology, rulesOf(SignOp::kAvg, 4), 100 * kWordBits, kModel));
  Planner forced(0, topology, kModel, Algorithm::kDirect, table);
  EXPECT_EQ(forced.choose(rulesOf(SignOp::kVote, 4), 99), Algorithm::kDirect);
}

TEST(PlannerTest, PlansAreBuiltOnceForEachAlgorithmAndRules) {
  Planner planner(1, Topology::singleNode(4), kModel, std::nullopt);
  const Plan& vote = planner.plan(Algorithm::kDirect, rulesOf(SignOp::kVote, 4));
  const Plan& avg = planner.plan(Algorithm::kDirect, rulesOf(SignOp::kAvg, 4));
  const Plan& ternary = planner.plan(Algorithm::kDirect, rulesOf(SignOp::kVote, 4, 2));
  const Plan& with_zeros = planner.plan(Algorithm::kDirect, rulesOf(SignOp::kVote, 4, 2, true));
  const Plan& ring = planner.plan(Algorithm::kRing, rulesOf(SignOp::kVote, 4));
  EXPECT_EQ(&planner.plan(Algorithm::kDirect, rulesOf(SignOp::kVote, 4)), &vote);
  const std::set<const Plan*> different = {&vote, &avg, &ternary, &with_zeros, &ring};
  EXPECT_EQ(different.size(), 5U);
  EXPECT_EQ(vote.rank, 1);
  EXPECT_EQ(avg.rules.op, SignOp::kAvg);
  EXPECT_EQ(ternary.rules.votes_per_rank, 2);
  EXPECT_TRUE(with_zeros.rules.ternary_result);
}

}  // namespace
}  // namespace signccl
