// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "build_all.h"
#include "schedule/traffic.h"

namespace signccl {
namespace {

constexpr std::size_t kElementsPerRank = std::size_t{64} * 6;

/// Bytes that each node's ranks send to other nodes.
std::vector<std::uint64_t> nicBytes(const Topology& topology, const CountRules& rules, std::size_t count) {
  std::vector<std::uint64_t> bytes(static_cast<std::size_t>(topology.nnodes()));
  for (const Schedule& schedule : buildAll(Algorithm::kHierarchical, topology)) {
    bytes[static_cast<std::size_t>(topology.nodeOf(schedule.rank))] +=
        trafficOf(schedule, topology, rules, count).remote_bytes_sent;
  }
  return bytes;
}

TEST(HierarchicalTest, ANodeSendsItsCountersAndItsShareOfTheResultsOnce) {
  // (M - 1) / M (planes of 8 ranks' counters + planes of the result) bits per element.
  for (const int nnodes : {2, 3, 4, 8}) {
    const int nranks = 8 * nnodes;
    const Topology topology = Topology::uniform(nranks, 8);
    const std::size_t count = kElementsPerRank * static_cast<std::size_t>(nranks);
    const std::size_t share = count / 8 / static_cast<std::size_t>(nnodes);  // bytes of 1/M of a plane
    const auto others = static_cast<std::size_t>(nnodes - 1);
    for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
      const CountRules rules{op, nranks, 1, false};
      const auto planes = 4 + static_cast<std::size_t>(resultPlanes(rules));
      for (const std::uint64_t bytes : nicBytes(topology, rules, count)) {
        EXPECT_EQ(bytes, share * others * planes) << nnodes << " nodes";
      }
    }
  }
}

TEST(HierarchicalTest, LocalRanksShareTheNicAlike) {
  const Topology topology = Topology::uniform(32, 8);
  const std::size_t count = kElementsPerRank * 32;
  const CountRules rules{SignOp::kVote, 32, 1, false};
  for (const Schedule& schedule : buildAll(Algorithm::kHierarchical, topology)) {
    EXPECT_EQ(trafficOf(schedule, topology, rules, count).remote_bytes_sent, count / 8 / 32 * 3 * (4 + 1));
  }
}

TEST(HierarchicalTest, MessagesPerRankAreThoseOfTheNodeAndThoseBetweenNodes) {
  const Topology topology = Topology::uniform(64, 8);
  for (const Schedule& schedule : buildAll(Algorithm::kHierarchical, topology)) {
    EXPECT_EQ(std::ranges::count(schedule.steps, StepKind::kSend, &Step::kind), 2 * 7 + 2 * 7);
  }
}

TEST(HierarchicalTest, CountersLeaveTheNodeNeverVotesOfVotes) {
  const Topology topology = Topology::uniform(24, 8);
  for (const Schedule& schedule : buildAll(Algorithm::kHierarchical, topology)) {
    for (const Step& step : schedule.steps) {
      if (step.kind != StepKind::kSend || topology.nodeOf(step.peer) == topology.nodeOf(schedule.rank)) continue;
      EXPECT_TRUE((step.slot.kind == SlotKind::kCounts && step.votes == 8) || step.slot.kind == SlotKind::kResult);
    }
  }
}

TEST(HierarchicalTest, OneNodeOrOneRankPerNodeSendsAsTheDirectExchange) {
  const CountRules rules{SignOp::kVote, 9, 1, false};
  for (const Topology& topology : {Topology::singleNode(9), Topology::uniform(9, 1)}) {
    for (Rank rank = 0; rank < 9; ++rank) {
      const std::size_t count = kElementsPerRank * 9;
      const Traffic levels = trafficOf(buildSchedule(Algorithm::kHierarchical, rank, topology), topology, rules, count);
      const Traffic direct = trafficOf(buildSchedule(Algorithm::kDirect, rank, topology), topology, rules, count);
      EXPECT_EQ(levels.steps, direct.steps);
      EXPECT_EQ(levels.messages_sent, direct.messages_sent);
      EXPECT_EQ(levels.bytes_sent, direct.bytes_sent);
    }
  }
}

TEST(HierarchicalTest, EveryNodeOwnsTheSameShareEvenIfNodesAreUnequal) {
  const Topology topology({0, 0, 0, 1, 2, 2});
  std::map<int, int> decided;
  for (const Schedule& schedule : buildAll(Algorithm::kHierarchical, topology)) {
    for (const Step& step : schedule.steps) {
      if (step.kind == StepKind::kDecide) decided[topology.nodeOf(schedule.rank)] += step.nchunks;
    }
  }
  EXPECT_EQ(decided, (std::map<int, int>{{0, 3}, {1, 3}, {2, 3}}));
}

}  // namespace
}  // namespace signccl
