// SPDX-License-Identifier: Apache-2.0
#include "schedule/cost.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "build_all.h"
#include "kernels/word.h"
#include "schedule/chunk.h"
#include "schedule/slices.h"
#include "schedule/traffic.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

/// From one number of ranks to the next.
constexpr int kStep = kSanitized ? 3 : 1;

/// Largest figures of any rank, from the schedules.
Traffic busiest(Algorithm algorithm, const Topology& topology, const CountRules& rules, std::size_t count) {
  Traffic most;
  for (const Schedule& schedule : buildAll(algorithm, topology)) {
    const Traffic one = trafficOf(schedule, topology, rules, count);
    most.messages_sent = std::max(most.messages_sent, one.messages_sent);
    most.bytes_sent = std::max(most.bytes_sent, one.bytes_sent);
  }
  return most;
}

/// Vote and avg, binary and ternary.
std::vector<CountRules> rulesOf(int nranks) {
  return {{SignOp::kVote, nranks, 1, false},
          {SignOp::kAvg, nranks, 1, false},
          {SignOp::kVote, nranks, 2, true},
          {SignOp::kAvg, nranks, 2, false}};
}

void expectExact(Algorithm algorithm, const Topology& topology) {
  const auto nranks = static_cast<std::size_t>(topology.nranks());
  const std::size_t count = kWordBits * nranks * 6;
  for (const CountRules& rules : rulesOf(topology.nranks())) {
    const Traffic actual = busiest(algorithm, topology, rules, count);
    const CostEstimate estimated = estimate(algorithm, topology, rules, count, {});
    EXPECT_EQ(estimated.messages, actual.messages_sent) << nameOf(algorithm, topology);
    EXPECT_EQ(estimated.bytes, actual.bytes_sent) << nameOf(algorithm, topology);
  }
}

TEST(CostTest, MessagesAndBytesAreThoseOfTheScheduleWhereChunksAreEqual) {
  for (int nranks = 1; nranks <= 128; nranks += kStep) {
    for (const Algorithm algorithm : {Algorithm::kOneShot, Algorithm::kDirect, Algorithm::kRing, Algorithm::kTree}) {
      expectExact(algorithm, Topology::singleNode(nranks));
    }
  }
  for (const int nranks : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 24, 32, 64, 512}) {
    expectExact(Algorithm::kKnomial, Topology::singleNode(nranks));
  }
  for (const int ranks_per_node : {1, 2, 3, 8}) {
    for (const int nnodes : {1, 2, 3, 4, 8, 16}) {
      expectExact(Algorithm::kHierarchical, Topology::uniform(nnodes * ranks_per_node, ranks_per_node));
    }
  }
}

TEST(CostTest, BytesAreWithinAFifthOfTheScheduleWherePartsAreUnequal) {
  for (int nranks = 2; nranks <= 128; nranks += kStep) {
    const std::size_t count = kWordBits * static_cast<std::size_t>(nranks) * 56;
    for (const CountRules& rules : rulesOf(nranks)) {
      for (const Topology& topology : {Topology::singleNode(nranks), Topology::uniform(nranks, 7)}) {
        for (const Algorithm algorithm : {Algorithm::kKnomial, Algorithm::kHierarchical}) {
          const auto actual = static_cast<double>(busiest(algorithm, topology, rules, count).bytes_sent);
          const auto estimated = static_cast<double>(estimate(algorithm, topology, rules, count, {}).bytes);
          EXPECT_NEAR(estimated / actual, 1.0, 0.2) << nameOf(algorithm, topology);
        }
      }
    }
  }
}

constexpr CountRules kVoteOf4{SignOp::kVote, 4, 1, false};
constexpr std::size_t kWords = 1000;
constexpr std::size_t kCount = kWords * kWordBits;

TEST(CostTest, LatencyIsPaidPerPhaseAndMessagesPerPeer) {
  const CostModel model{{10, 1, 0}, {}, 0};
  const Topology topology = Topology::singleNode(4);
  EXPECT_DOUBLE_EQ(estimate(Algorithm::kOneShot, topology, kVoteOf4, kCount, model).time_us, 10 + 3);
  EXPECT_DOUBLE_EQ(estimate(Algorithm::kDirect, topology, kVoteOf4, kCount, model).time_us, 2 * (10 + 3));
  EXPECT_DOUBLE_EQ(estimate(Algorithm::kRing, topology, kVoteOf4, kCount, model).time_us, 6 * (10 + 1));
  EXPECT_DOUBLE_EQ(estimate(Algorithm::kTree, topology, kVoteOf4, kCount, model).time_us, 4 * (10 + 1.5));
}

TEST(CostTest, RanksThatShareCoresPayForTheMessagesOfAll) {
  CostModel model{{0, 1, 0, 0}, {}, 0};
  const Topology topology = Topology::singleNode(4);
  const auto us = [&](Algorithm algorithm) { return estimate(algorithm, topology, kVoteOf4, kCount, model).time_us; };
  EXPECT_DOUBLE_EQ(us(Algorithm::kOneShot), 3);
  EXPECT_DOUBLE_EQ(us(Algorithm::kTree), 4 * 1.5);
  model.ranks_per_core = 4;
  EXPECT_DOUBLE_EQ(us(Algorithm::kOneShot), 4 * 3);
  EXPECT_DOUBLE_EQ(us(Algorithm::kDirect), 4 * 6);
  // A rank of the tree sends 3 on average, as many as in one shot.
  EXPECT_DOUBLE_EQ(us(Algorithm::kTree), 4 * 3);
}

TEST(CostTest, CrowdedCoresHideTheLatency) {
  CostModel model{{10, 1, 0, 0}, {}, 0};
  model.ranks_per_core = 2;
  const Topology topology = Topology::singleNode(4);
  EXPECT_DOUBLE_EQ(estimate(Algorithm::kOneShot, topology, kVoteOf4, kCount, model).time_us, 10 + 3);
  model.ranks_per_core = 8;
  EXPECT_DOUBLE_EQ(estimate(Algorithm::kOneShot, topology, kVoteOf4, kCount, model).time_us, 8 * 3);
}

TEST(CostTest, OfFewWordsOnlySomeRanksHaveAChunk) {
  CostModel model{{0, 1, 0, 0}, {}, 0};
  const Topology topology = Topology::singleNode(4);
  const auto us = [&](std::size_t nwords) {
    return estimate(Algorithm::kDirect, topology, kVoteOf4, nwords * kWordBits, model).time_us;
  };
  // One owner gets three messages, which is half of what getting and sending three takes, and sends three.
  EXPECT_DOUBLE_EQ(us(1), 3);
  EXPECT_DOUBLE_EQ(us(2), 2 * 3 * (1 + 1.0 / 3) / 2);
  EXPECT_DOUBLE_EQ(us(4), 6);
  model.ranks_per_core = 4;
  EXPECT_DOUBLE_EQ(us(1), 6);
}

TEST(CostTest, EverySliceHasMessagesAndTheyOverlapWithTheLink) {
  constexpr std::size_t kWordsOfFourSlices = std::size_t{4} * 16 * 1024;
  constexpr std::size_t kLarge = kWordsOfFourSlices * kWordBits;
  ASSERT_EQ(sliceCount(kWordsOfFourSlices, 0, kVoteOf4), 4U);
  const Topology topology = Topology::singleNode(4);
  CostModel model{{0, 1, 0, 0}, {}, 0};
  EXPECT_DOUBLE_EQ(estimate(Algorithm::kOneShot, topology, kVoteOf4, kLarge, model).time_us, 4 * 3);
  model.local.ns_per_byte = 1;
  const double link_us = 3 * kWordsOfFourSlices * 8 / 1e3;
  EXPECT_DOUBLE_EQ(estimate(Algorithm::kOneShot, topology, kVoteOf4, kLarge, model).time_us, 3 + link_us);
}

TEST(CostTest, BytesTakeTheLinkOrTheProcessorWhicheverIsSlower) {
  CostModel model{{0, 0, 1, 0.25}, {}, 0};
  const Topology topology = Topology::singleNode(4);
  EXPECT_DOUBLE_EQ(estimate(Algorithm::kOneShot, topology, kVoteOf4, kCount, model).time_us, 3 * kWords * 8 / 1e3);
  model.ranks_per_core = 8;
  EXPECT_DOUBLE_EQ(estimate(Algorithm::kOneShot, topology, kVoteOf4, kCount, model).time_us, 6 * kWords * 8 / 1e3);
}

TEST(CostTest, TheRanksOfANodeShareItsNic) {
  const CostModel model{{}, {0, 0, 1}, 0};
  const double one_per_node = estimate(Algorithm::kOneShot, Topology::uniform(4, 1), kVoteOf4, kCount, model).time_us;
  EXPECT_DOUBLE_EQ(one_per_node, 3 * kWords * 8 / 1e3);
  const double two_per_node = estimate(Algorithm::kOneShot, Topology::uniform(4, 2), kVoteOf4, kCount, model).time_us;
  EXPECT_DOUBLE_EQ(two_per_node, kWords * 8 * 2 * 2 / 1e3);
}

TEST(CostTest, CountingIsPaidPerPlaneWord) {
  const CostModel model{{}, {}, 2.0};
  const Topology topology = Topology::singleNode(4);
  EXPECT_DOUBLE_EQ(estimate(Algorithm::kOneShot, topology, kVoteOf4, kCount, model).time_us, 4 * kWords * 2 / 1e3);
  EXPECT_DOUBLE_EQ(estimate(Algorithm::kDirect, topology, kVoteOf4, kCount, model).time_us, kWords * 2 / 1e3);
}

TEST(CostTest, HierarchicalUsesTheNicLessThanTheFlatDirectExchange) {
  const CostModel model{kShmLink, kTcp10GbitLink, kCountNsPerPlaneWord};
  const Topology topology = Topology::uniform(64, 8);
  const CountRules rules{SignOp::kVote, 64, 1, false};
  const double flat = estimate(Algorithm::kDirect, topology, rules, 100'000'000, model).time_us;
  const double levels = estimate(Algorithm::kHierarchical, topology, rules, 100'000'000, model).time_us;
  EXPECT_NEAR(flat / levels, 3.2, 0.3);
}

}  // namespace
}  // namespace signccl
