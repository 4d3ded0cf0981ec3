// SPDX-License-Identifier: Apache-2.0
#include "schedule/knomial.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "build_all.h"
#include "schedule/traffic.h"

namespace signccl {
namespace {

TEST(KnomialTest, RadixIsASmallDivisorWhereThereIsOne) {
  const int sizes[] = {2, 3, 7, 8, 9, 10, 11, 13, 16, 32, 64, 65, 127, 512, 4096};
  const int radices[] = {2, 3, 7, 8, 3, 5, 4, 4, 4, 8, 8, 5, 6, 8, 8};
  for (std::size_t i = 0; i < std::size(sizes); ++i) EXPECT_EQ(knomialRadix(sizes[i]), radices[i]) << sizes[i];
}

TEST(KnomialTest, LevelsAreAsFewAsTheLargestRadixAllows) {
  for (int nranks = 2; nranks <= 4096; ++nranks) {
    int levels = 0;
    for (int group = nranks; group > 1; ++levels) {
      const int radix = knomialRadix(group);
      ASSERT_GE(radix, 2);
      ASSERT_LE(radix, kMaxRadix);
      group = (group + radix - 1) / radix;
    }
    int fewest = 0;
    for (int reach = 1; reach < nranks; reach *= kMaxRadix) ++fewest;
    EXPECT_EQ(levels, fewest) << nranks;
  }
}

TEST(KnomialTest, UpToEightRanksAreTheDirectExchange) {
  const Topology topology = Topology::singleNode(7);
  const CountRules rules{SignOp::kVote, 7, 1, false};
  for (Rank rank = 0; rank < 7; ++rank) {
    const Traffic knomial = trafficOf(buildSchedule(Algorithm::kKnomial, rank, topology), topology, rules, 44800);
    const Traffic direct = trafficOf(buildSchedule(Algorithm::kDirect, rank, topology), topology, rules, 44800);
    EXPECT_EQ(knomial.messages_sent, direct.messages_sent);
    EXPECT_EQ(knomial.bytes_sent, direct.bytes_sent);
  }
}

TEST(KnomialTest, MessagesGrowWithTheLogarithmOfTheRanks) {
  const auto messages = [](int nranks) {
    return std::ranges::count(buildSchedule(Algorithm::kKnomial, 1, Topology::singleNode(nranks)).steps,
                              StepKind::kSend, &Step::kind);
  };
  EXPECT_EQ(messages(8), 2 * 7);
  EXPECT_EQ(messages(64), 2 * 14);
  EXPECT_EQ(messages(512), 2 * 21);
  EXPECT_EQ(messages(4096), 2 * 28);
}

TEST(KnomialTest, NoRankSendsMuchMoreThanTheOthersWhateverTheirNumber) {
  constexpr std::size_t kCount = std::size_t{64} * 128 * 100;
  for (int nranks = 2; nranks <= 128; ++nranks) {
    const Topology topology = Topology::singleNode(nranks);
    std::uint64_t most = 0;
    for (const Schedule& schedule : buildAll(Algorithm::kKnomial, topology)) {
      most = std::max(most, trafficOf(schedule, topology, {SignOp::kVote, nranks, 1, false}, kCount).bytes_sent);
    }
    EXPECT_LT(static_cast<double>(most) * 8 / kCount, 2.7) << nranks;
  }
}

TEST(KnomialTest, ARankExchangesWithFewPeers) {
  std::set<Rank> peers;
  for (const Step& step : buildSchedule(Algorithm::kKnomial, 77, Topology::singleNode(512)).steps) {
    if (step.peer >= 0) peers.insert(step.peer);
  }
  EXPECT_EQ(peers.size(), 21U);
}

}  // namespace
}  // namespace signccl
