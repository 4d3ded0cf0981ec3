// SPDX-License-Identifier: Apache-2.0
#include "schedule/choose.h"

#include <gtest/gtest.h>

#include "build_all.h"

namespace signccl {
namespace {

constexpr CostModel kLoopback{kLoopbackLink, kLoopbackLink, kCountNsPerPlaneWord};
constexpr CostModel kTcp1Gbit{kShmLink, kTcp1GbitLink, kCountNsPerPlaneWord};
constexpr CostModel kTcp10Gbit{kShmLink, kTcp10GbitLink, kCountNsPerPlaneWord};

std::string_view chosen(const Topology& topology, std::size_t count, const CostModel& model,
                        SignOp op = SignOp::kVote) {
  return algorithmName(chooseAlgorithm(topology, {op, topology.nranks(), 1, false}, count, model));
}

TEST(ChooseTest, SmallVectorsGoInOneShotAndLargeOnesDirect) {
  for (const int nranks : {4, 8}) {
    const Topology hosts = Topology::uniform(nranks, 1);
    EXPECT_EQ(chosen(hosts, 1'000, kTcp10Gbit), "oneshot");
    EXPECT_EQ(chosen(hosts, 100'000'000, kTcp10Gbit), "direct");
    EXPECT_EQ(chosen(hosts, 100'000'000, kTcp10Gbit, SignOp::kAvg), "direct");
  }
}

TEST(ChooseTest, MidSizesOnManyRanksAreKnomial) {
  EXPECT_EQ(chosen(Topology::uniform(64, 1), 100'000, kTcp10Gbit), "knomial");
  EXPECT_EQ(chosen(Topology::uniform(512, 1), 1'000'000, kTcp10Gbit), "knomial");
  EXPECT_EQ(chosen(Topology::uniform(64, 1), 1'000'000'000, kTcp1Gbit), "direct");
}

TEST(ChooseTest, ASlowerLinkMovesTheLimitToSmallerVectors) {
  const Topology hosts = Topology::uniform(8, 1);
  EXPECT_EQ(chosen(hosts, 60'000, kTcp10Gbit), "oneshot");
  EXPECT_EQ(chosen(hosts, 60'000, kTcp1Gbit), "direct");
}

TEST(ChooseTest, CrowdedCoresPreferTheAlgorithmWithTheFewestMessages) {
  const Topology hosts = Topology::uniform(4, 1);
  CostModel crowded = kTcp10Gbit;
  crowded.ranks_per_core = 2;
  // A single word has one owner, to whom three ranks send and who answers: six messages of all ranks. In one shot they
  // are twelve, in the direct exchange of several words 24.
  EXPECT_EQ(chosen(hosts, 8, crowded), "direct");
  EXPECT_EQ(chosen(hosts, 1'000, crowded), "oneshot");
}

TEST(ChooseTest, SeveralRanksPerNicAreHierarchical) {
  EXPECT_EQ(chosen(Topology::uniform(64, 8), 100'000'000, kTcp10Gbit), "hierarchical");
}

TEST(ChooseTest, HierarchicalNeedsSeveralNodesOfWhichOneHasSeveralRanks) {
  for (const std::size_t count : {1'000U, 1'000'000U, 1'000'000'000U}) {
    EXPECT_NE(chosen(Topology::singleNode(16), count, kLoopback), "hierarchical");
    EXPECT_NE(chosen(Topology::uniform(16, 1), count, kTcp10Gbit), "hierarchical");
  }
}

TEST(ChooseTest, KnomialNeedsMoreThanEightRanks) {
  for (const std::size_t count : {1'000U, 100'000U, 10'000'000U}) {
    EXPECT_NE(chosen(Topology::uniform(8, 1), count, kTcp10Gbit), "knomial");
  }
}

TEST(ChooseTest, ThreadsOfOneProcessExchangeLargeVectorsDirectly) {
  for (const int nranks : {2, 4, 8, 16}) {
    EXPECT_EQ(chosen(Topology::singleNode(nranks), 64'000'000, kLoopback, SignOp::kAvg), "direct");
  }
}

TEST(ChooseTest, TheChoiceHasTheLeastEstimate) {
  for (const int nranks : {1, 3, 17, 40}) {
    for (const Topology& topology : topologiesOf(nranks)) {
      for (const std::size_t count : {0U, 1U, 5'000U, 3'000'000U}) {
        const CountRules rules{SignOp::kVote, nranks, 2, true};
        const Algorithm best = chooseAlgorithm(topology, rules, count, kTcp10Gbit);
        for (const Algorithm other : allAlgorithms()) {
          if (other == Algorithm::kKnomial || other == Algorithm::kHierarchical) continue;
          EXPECT_LE(estimate(best, topology, rules, count, kTcp10Gbit).time_us,
                    estimate(other, topology, rules, count, kTcp10Gbit).time_us);
        }
      }
    }
  }
}

}  // namespace
}  // namespace signccl
