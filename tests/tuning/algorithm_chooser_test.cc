// SPDX-License-Identifier: Apache-2.0
#include "tuning/algorithm_chooser.h"

#include <algorithm>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/word.h"
#include "schedule/choose.h"

namespace signccl {
namespace {

constexpr CostModel kModel{kLoopbackLink, kLoopbackLink, kCountNsPerPlaneWord};

CountRules rulesOf(SignOp op, int nranks, int votes_per_rank = 1, bool ternary_result = false) {
  return {op, nranks, votes_per_rank, ternary_result};
}

TEST(AlgorithmChooserTest, ForcedAlgorithmServesEverySize) {
  AlgorithmChooser chooser(0, Topology::singleNode(4), kModel, Algorithm::kRing);
  for (const std::size_t nwords : {1U, 1'000U, 1'000'000U}) {
    EXPECT_EQ(chooser.choose(rulesOf(SignOp::kVote, 4), nwords), Algorithm::kRing);
  }
}

TEST(AlgorithmChooserTest, ChoiceIsThatOfTheCostModelHoweverManySizesAlternate) {
  const Topology topology = Topology::singleNode(12);
  AlgorithmChooser chooser(3, topology, kModel, std::nullopt);
  std::vector<Algorithm> seen;
  for (int round = 0; round < 2; ++round) {
    // Many more sizes than the chooser remembers.
    for (std::size_t nwords = 1; nwords < 1'000'000; nwords += 1 + nwords / 40) {
      for (const CountRules& rules :
           {rulesOf(SignOp::kVote, 12), rulesOf(SignOp::kVote, 12, 2, true), rulesOf(SignOp::kAvg, 12)}) {
        const Algorithm expected = chooseAlgorithm(topology, rules, nwords * kWordBits, kModel);
        ASSERT_EQ(chooser.choose(rules, nwords), expected);
        ASSERT_EQ(chooser.choose(rules, nwords), expected) << "the second time";
        seen.push_back(expected);
      }
    }
  }
  EXPECT_NE(std::ranges::find(seen, Algorithm::kDirect), seen.end());
  EXPECT_NE(std::ranges::adjacent_find(seen, std::ranges::not_equal_to()), seen.end())
      << "only one algorithm was chosen";
}

TEST(AlgorithmChooserTest, TuningTableGoesBeforeTheCostModelWhereItSaysAnything) {
  const auto table = TuningTable::parse(
      R"({"format": "signccl-tuning", "version": 1, "groups": [{"collective": "vote", "nranks": 4, "nnodes": 1,)"
      R"( "choices": [{"from_count": 0, "algorithm": "ring"}, {"from_count": 6400, "algorithm": "tree"}]}]})",
      "t.json");
  const Topology topology = Topology::singleNode(4);
  AlgorithmChooser chooser(0, topology, kModel, std::nullopt, table);
  EXPECT_EQ(chooser.choose(rulesOf(SignOp::kVote, 4), 99), Algorithm::kRing);
  EXPECT_EQ(chooser.choose(rulesOf(SignOp::kVote, 4), 100), Algorithm::kTree);
  EXPECT_EQ(chooser.choose(rulesOf(SignOp::kAvg, 4), 100),
            chooseAlgorithm(topology, rulesOf(SignOp::kAvg, 4), 100 * kWordBits, kModel));
  AlgorithmChooser forced(0, topology, kModel, Algorithm::kDirect, table);
  EXPECT_EQ(forced.choose(rulesOf(SignOp::kVote, 4), 99), Algorithm::kDirect);
}

}  // namespace
}  // namespace signccl
