// SPDX-License-Identifier: Apache-2.0
#include "schedule/algorithm.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "base/error.h"
#include "build_all.h"

namespace signccl {
namespace {

TEST(AlgorithmTest, NamesAndAlgorithmsAreTheSameList) {
  EXPECT_EQ(allAlgorithms().size(), static_cast<std::size_t>(kNumAlgorithms));
  std::set<std::string_view> names;
  for (const Algorithm algorithm : allAlgorithms()) {
    names.insert(algorithmName(algorithm));
    EXPECT_EQ(parseAlgorithm(algorithmName(algorithm)), algorithm);
  }
  EXPECT_EQ(names.size(), allAlgorithms().size());
}

TEST(AlgorithmTest, OtherNamesAreNoAlgorithm) {
  for (const std::string_view name : {"", "Ring", "ring ", "unknown", "auto"}) {
    EXPECT_FALSE(parseAlgorithm(name).has_value()) << name;
  }
}

TEST(AlgorithmTest, ARankOutsideTheTopologyIsRejected) {
  EXPECT_THROW(buildSchedule(Algorithm::kRing, 4, Topology::singleNode(4)), Error);
  EXPECT_THROW(buildSchedule(Algorithm::kRing, -1, Topology::singleNode(4)), Error);
}

TEST(AlgorithmTest, OneRankSendsNothing) {
  for (const Algorithm algorithm : allAlgorithms()) {
    for (const Step& step : buildSchedule(algorithm, 0, Topology::singleNode(1)).steps) {
      EXPECT_TRUE(step.kind == StepKind::kCount || step.kind == StepKind::kDecide) << algorithmName(algorithm);
    }
  }
}

/// Most inboxes of any rank.
int mostInboxes(Algorithm algorithm, const Topology& topology) {
  int most = 0;
  for (const Schedule& schedule : buildAll(algorithm, topology)) most = std::max(most, schedule.ninboxes);
  return most;
}

TEST(AlgorithmTest, InboxesStayWithinWhatEachAlgorithmStates) {
  for (int nranks = 2; nranks <= 128; ++nranks) {
    const Topology flat = Topology::singleNode(nranks);
    EXPECT_EQ(mostInboxes(Algorithm::kOneShot, flat), nranks - 1);
    EXPECT_EQ(mostInboxes(Algorithm::kDirect, flat), nranks - 1);
    EXPECT_LE(mostInboxes(Algorithm::kRing, flat), 2);
    EXPECT_LE(mostInboxes(Algorithm::kTree, flat), 2 + nranks % 2);
  }
  EXPECT_EQ(mostInboxes(Algorithm::kKnomial, Topology::singleNode(64)), 7 + 7);
  EXPECT_EQ(mostInboxes(Algorithm::kHierarchical, Topology::uniform(64, 8)), 7 + 7);
  EXPECT_EQ(mostInboxes(Algorithm::kHierarchical, Topology::uniform(24, 8)), 7 + 2);
}

TEST(AlgorithmTest, TheDirectCountTakesAllVotesInOneStep) {
  const Schedule schedule = buildSchedule(Algorithm::kDirect, 2, Topology::singleNode(9));
  const auto is_count = [](const Step& step) { return step.kind == StepKind::kCount; };
  ASSERT_EQ(std::ranges::count_if(schedule.steps, is_count), 1);
  EXPECT_EQ(std::ranges::find_if(schedule.steps, is_count)->nsources, 9);
}

TEST(AlgorithmTest, NoTwoRanksStartWithTheSamePeer) {
  for (const Algorithm algorithm : {Algorithm::kOneShot, Algorithm::kDirect, Algorithm::kHierarchical}) {
    std::set<Rank> first_peers;
    for (const Schedule& schedule : buildAll(algorithm, Topology::singleNode(12))) {
      const auto first = std::ranges::find(schedule.steps, StepKind::kSend, &Step::kind);
      EXPECT_TRUE(first_peers.insert(first->peer).second) << algorithmName(algorithm);
    }
  }
}

}  // namespace
}  // namespace signccl
