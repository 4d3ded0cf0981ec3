// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "schedule/choose.h"
#include "schedule_cost/options.h"
#include "schedule_cost/pays.h"
#include "schedule_cost/sum.h"

namespace signccl::perf {
namespace {

/// 10 us and 5 us for a message, 1 GB/s between nodes; half of it all within a node.
constexpr CostModel kModel{{5, 2.5, 0.5, 0}, {10, 5, 1, 0}, kCountNsPerPlaneWord};

CountRules voteOf(int nranks) { return {SignOp::kVote, nranks, 1, false}; }

/// What the program says of a name of a link; empty if it takes it.
std::string refusalOfLink(const std::string& name) {
  CLI::App app;
  CostOptions options;
  addOptions(app, options);
  try {
    app.parse("--link " + name);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return options.link == name ? "" : "the link is " + options.link;
}

TEST(ScheduleCostTest, ALinkThatItDoesNotKnowIsAnsweredByTheWayToAnyRate) {
  EXPECT_EQ(refusalOfLink("tcp10g"), "");
  EXPECT_EQ(refusalOfLink("tcp25g"),
            "--link: \"tcp25g\" is none of loopback, shm, tcp10g, tcp1g; --mbit sets any other rate, as 25000 for 25 "
            "Gbit/s");
}

TEST(ScheduleCostTest, ARingSendsEveryChunkTwiceToTheNextRank) {
  const Topology topology = Topology::uniform(4, 1);
  const CostEstimate cost = ringSum(topology, 1000, 4, kModel);
  EXPECT_EQ(cost.messages, 6);
  EXPECT_EQ(cost.bytes, 6U * 250 * 4);
  EXPECT_DOUBLE_EQ(cost.time_us, 6 * (10 + 5) + 6.0);
  EXPECT_EQ(ringSum(topology, 1001, 4, kModel).bytes, 6U * 251 * 4);
  EXPECT_EQ(ringSum(topology, 1000, 2, kModel).bytes, 6U * 250 * 2);
}

TEST(ScheduleCostTest, WithinANodeSumsTakeTheLocalLink) {
  EXPECT_DOUBLE_EQ(ringSum(Topology::uniform(4, 4), 1000, 4, kModel).time_us, 6 * 7.5 + 3.0);
}

TEST(ScheduleCostTest, OneRankAloneSendsNothing) {
  const Topology topology = Topology::singleNode(1);
  EXPECT_EQ(ringSum(topology, 1000, 4, kModel).bytes, 0U);
  EXPECT_DOUBLE_EQ(fastestSumUs(topology, 1000, 4, kModel), 0);
}

TEST(ScheduleCostTest, TheFastestSumHasTheBytesOfARingAndTheHopsOfATree) {
  const auto hops = [](int nranks) {
    const Topology topology = Topology::uniform(nranks, 1);
    const auto bytes_us = static_cast<double>(ringSum(topology, 1 << 20, 4, kModel).bytes) / 1000;
    return std::lround((fastestSumUs(topology, 1 << 20, 4, kModel) - bytes_us) / 15);
  };
  EXPECT_EQ(hops(2), 2);
  EXPECT_EQ(hops(3), 4);
  EXPECT_EQ(hops(8), 6);
  EXPECT_EQ(hops(9), 8);
}

TEST(ScheduleCostTest, OfNetworkAndMemoryTheLongerOneDecidesWhereThereAreManySlices) {
  const Topology topology = Topology::uniform(8, 1);
  constexpr std::size_t kCount = 100'000'000;
  const SignExchange slow_memory = signExchange(topology, voteOf(8), kCount, kModel, 1);
  EXPECT_EQ(slow_memory.algorithm, chooseAlgorithm(topology, voteOf(8), kCount, kModel));
  EXPECT_DOUBLE_EQ(slow_memory.local_us, 8.0 * kCount / 1000);  // 8 bytes per element
  EXPECT_GT(slow_memory.total_us, slow_memory.local_us);
  EXPECT_LT(slow_memory.total_us, 1.1 * slow_memory.local_us);
  const SignExchange fast_memory = signExchange(topology, voteOf(8), kCount, kModel, 1000);
  EXPECT_DOUBLE_EQ(fast_memory.network_us, slow_memory.network_us);
  EXPECT_GT(fast_memory.total_us, fast_memory.network_us);
  EXPECT_LT(fast_memory.total_us, 1.1 * fast_memory.network_us);
}

TEST(ScheduleCostTest, AVectorOfOneSliceTakesNetworkAndMemoryOneAfterTheOther) {
  const SignExchange one = signExchange(Topology::uniform(2, 1), voteOf(2), 64, kModel, 1);
  EXPECT_DOUBLE_EQ(one.total_us, one.network_us + one.local_us);
}

TEST(ScheduleCostTest, WithoutOverlapAStepIsThePassesAndTheExchange) {
  const Step step{.compute_us = 300, .count = 40, .bucket_count = 10};
  EXPECT_DOUBLE_EQ(stepUs(step, [](std::size_t count) { return static_cast<double>(count); }), 340);
}

TEST(ScheduleCostTest, WithOverlapTheLastBucketIsWaitedForOrTheExchangesQueueUp) {
  // Forward pass 100 us, then 50 us for each of four buckets.
  const Step step{.compute_us = 300, .count = 40, .bucket_count = 10};
  const auto each = [](double us) { return [us](std::size_t count) { return count == 10 ? us : 1e9; }; };
  EXPECT_DOUBLE_EQ(overlappedStepUs(step, each(0)), 300);
  EXPECT_DOUBLE_EQ(overlappedStepUs(step, each(10)), 310);
  EXPECT_DOUBLE_EQ(overlappedStepUs(step, each(80)), 100 + 50 + 4 * 80);
}

TEST(ScheduleCostTest, AStepWithoutParametersIsItsPasses) {
  EXPECT_DOUBLE_EQ(
      overlappedStepUs({.compute_us = 300, .count = 0, .bucket_count = 10}, [](std::size_t) { return 1e9; }), 300);
}

}  // namespace
}  // namespace signccl::perf
