// SPDX-License-Identifier: Apache-2.0
#include "schedule/traffic.h"

#include <algorithm>
#include <array>
#include <bit>

#include <gtest/gtest.h>

#include "build_all.h"
#include "kernels/word.h"
#include "schedule/chunk.h"

namespace signccl {
namespace {

constexpr CountRules vote(int nranks) { return {SignOp::kVote, nranks, 1, false}; }
constexpr CountRules avg(int nranks) { return {SignOp::kAvg, nranks, 1, false}; }
constexpr CountRules ternaryVote(int nranks) { return {SignOp::kVote, nranks, 2, true}; }
constexpr CountRules ternaryAvg(int nranks) { return {SignOp::kAvg, nranks, 2, false}; }

/// Elements that every algorithm cuts into equal chunks for these topologies.
std::size_t evenCount(const Topology& topology) { return kWordBits * static_cast<std::size_t>(topology.nranks()) * 4; }

/// Bits sent per element by the busiest rank, in units of 1 / nranks, where they are whole numbers.
std::uint64_t busiestRank(Algorithm algorithm, const Topology& topology, const CountRules& rules) {
  std::uint64_t most = 0;
  for (const Schedule& schedule : buildAll(algorithm, topology)) {
    most = std::max(most, trafficOf(schedule, topology, rules, evenCount(topology)).bytes_sent);
  }
  const std::uint64_t scaled = most * 8 * static_cast<std::uint64_t>(topology.nranks());
  EXPECT_EQ(scaled % evenCount(topology), 0U);
  return scaled / evenCount(topology);
}

struct Row {
  Algorithm algorithm;
  CountRules (*rules)(int nranks);
  std::array<std::uint64_t, 6> bits;  ///< times nranks, for 2, 4, 8, 16, 32, 64 ranks
};

TEST(TrafficTest, BitsOnTheWireAreThoseOfTheTable) {
  const std::array<int, 6> sizes = {2, 4, 8, 16, 32, 64};
  const Row rows[] = {
      {Algorithm::kOneShot, vote, {2, 12, 56, 240, 992, 4032}},
      {Algorithm::kOneShot, avg, {2, 12, 56, 240, 992, 4032}},
      {Algorithm::kOneShot, ternaryVote, {4, 24, 112, 480, 1984, 8064}},
      {Algorithm::kDirect, vote, {2, 6, 14, 30, 62, 126}},           // 2 (N - 1)
      {Algorithm::kDirect, avg, {2, 9, 28, 75, 186, 441}},           // (N - 1) (1 + log2 N)
      {Algorithm::kDirect, ternaryVote, {4, 12, 28, 60, 124, 252}},  // 4 (N - 1)
      {Algorithm::kDirect, ternaryAvg, {4, 15, 42, 105, 248, 567}},  // (N - 1) (2 + log2 2N)
      {Algorithm::kKnomial, vote, {2, 6, 14, 36, 71, 147}},
      {Algorithm::kKnomial, avg, {2, 9, 28, 81, 195, 462}},
  };
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const Topology topology = Topology::singleNode(sizes[i]);
      EXPECT_EQ(busiestRank(row.algorithm, topology, row.rules(sizes[i])), row.bits[i])
          << nameOf(row.algorithm, topology);
    }
  }
}

TEST(TrafficTest, DirectSendsTheBitsOfTheFormulaForEveryNumberOfRanks) {
  for (int nranks = 2; nranks <= 128; ++nranks) {
    const Topology topology = Topology::singleNode(nranks);
    const auto others = static_cast<std::uint64_t>(nranks - 1);
    const auto log = static_cast<std::uint64_t>(std::bit_width(others));  // ceil(log2 N)
    EXPECT_EQ(busiestRank(Algorithm::kDirect, topology, vote(nranks)), 2 * others);
    EXPECT_EQ(busiestRank(Algorithm::kDirect, topology, avg(nranks)), others * (1 + log));
  }
}

TEST(TrafficTest, RingSendsWideningCountersThatAreClampedForVote) {
  // 8 ranks. Counters of 1 to 7 ranks: vote 1, 2, 2, 3, 3, 3, 2 planes, avg 1, 2, 2, 3, 3, 3, 3; then results.
  const Topology topology = Topology::singleNode(8);
  EXPECT_EQ(busiestRank(Algorithm::kRing, topology, vote(8)), 1U + 2 + 2 + 3 + 3 + 3 + 2 + 7);
  EXPECT_EQ(busiestRank(Algorithm::kRing, topology, avg(8)), 1U + 2 + 2 + 3 + 3 + 3 + 3 + 7 * 3);
}

TEST(TrafficTest, TreeSendsHalfTheVectorOncePerNeighbour) {
  // 8 ranks, the rank above 3 others in one tree: counters of 3 ranks, 2 results and the signs in the other tree, in
  // halves.
  const Topology topology = Topology::singleNode(8);
  EXPECT_EQ(busiestRank(Algorithm::kTree, topology, vote(8)), 8U * (2 + 2 + 1) / 2);
  EXPECT_EQ(busiestRank(Algorithm::kTree, topology, avg(8)), 8U * (3 + 2 * 3 + 1) / 2);
}

TEST(TrafficTest, WhatAllRanksSendIsReceived) {
  for (const Algorithm algorithm : allAlgorithms()) {
    for (const Topology& topology : topologiesOf(23)) {
      Traffic all;
      for (const Schedule& schedule : buildAll(algorithm, topology)) {
        const Traffic one = trafficOf(schedule, topology, avg(23), 100003);
        all.bytes_sent += one.bytes_sent;
        all.bytes_received += one.bytes_received;
      }
      EXPECT_EQ(all.bytes_sent, all.bytes_received) << nameOf(algorithm, topology);
    }
  }
}

TEST(TrafficTest, AnUnevenCutSendsTheWordsOfEachChunk) {
  // 5 words in 3 chunks of 1, 2 and 2: rank 0 sends 4 words of signs, and 1 word of result to each of two.
  const Topology topology = Topology::singleNode(3);
  const Traffic traffic = trafficOf(buildSchedule(Algorithm::kDirect, 0, topology), topology, vote(3), 5 * 64 - 1);
  EXPECT_EQ(traffic.bytes_sent, 8U * (4 + 2));
  EXPECT_EQ(traffic.messages_sent, 4);
  EXPECT_EQ(traffic.steps, 10);
}

TEST(TrafficTest, OnlyMessagesToOtherNodesAreRemote) {
  const Topology topology = Topology::uniform(4, 2);
  const Traffic traffic = trafficOf(buildSchedule(Algorithm::kOneShot, 1, topology), topology, vote(4), 640);
  EXPECT_EQ(traffic.bytes_sent, 3U * 80);
  EXPECT_EQ(traffic.remote_bytes_sent, 2U * 80);
}

TEST(TrafficTest, AnEmptyVectorSendsNoBytes) {
  const Topology topology = Topology::singleNode(4);
  EXPECT_EQ(trafficOf(buildSchedule(Algorithm::kRing, 1, topology), topology, avg(4), 0).bytes_sent, 0U);
}

}  // namespace
}  // namespace signccl
