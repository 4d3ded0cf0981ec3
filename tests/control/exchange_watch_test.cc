// SPDX-License-Identifier: Apache-2.0
#include "control/exchange_watch.h"

#include <gtest/gtest.h>

namespace signccl {
namespace {

/// Ticks until something is to be announced, at most 10 times.
std::optional<AnnounceMessage> tickUntilAnnounced(ExchangeWatch& watch, std::uint64_t ended) {
  std::optional<AnnounceMessage> message;
  for (int i = 0; i < 10 && !message; ++i) message = watch.tick(ended);
  return message;
}

TEST(ExchangeWatchTest, ExchangeThatLastsIsAnnouncedOnceAndNotAtTheFirstTick) {
  ExchangeWatch watch(0, 2);
  watch.begin(4, "vote", /*announced=*/false);
  EXPECT_FALSE(watch.tick(4));
  const auto message = tickUntilAnnounced(watch, 4);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->exchange, 4U);
  EXPECT_EQ(message->signature, "vote");
  EXPECT_FALSE(tickUntilAnnounced(watch, 4));
}

TEST(ExchangeWatchTest, ExchangeThatHasEndedOrWasAnnouncedIsNotAnnounced) {
  ExchangeWatch watch(0, 2);
  watch.begin(4, "vote", /*announced=*/false);
  EXPECT_FALSE(tickUntilAnnounced(watch, 5));
  watch.begin(5, "vote", /*announced=*/true);
  EXPECT_FALSE(tickUntilAnnounced(watch, 5));
}

TEST(ExchangeWatchTest, ExchangesThatEndedTooSoonToBeNotedHaveBegun) {
  ExchangeWatch watch(0, 2);
  EXPECT_EQ(watch.begun(3), 3U);
  watch.begin(4, "vote", false);
  EXPECT_EQ(watch.begun(4), 5U);
}

TEST(ExchangeWatchTest, RankThatLeavesFailsWhatIsUnderWayAndWhatComes) {
  ExchangeWatch watch(0, 3);
  watch.begin(4, "vote", false);
  EXPECT_FALSE(watch.leave({1, 5}, 4)) << "rank 1 took part in exchange 4";
  const auto failure = watch.leave({2, 4}, 4);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->gone, (std::vector<Rank>{2}));
  EXPECT_EQ(watch.failureOf(5)->gone, (std::vector<Rank>{1}));
  EXPECT_FALSE(watch.failureOf(3));
}

TEST(ExchangeWatchTest, RankThatLeftIsKnown) {
  ExchangeWatch watch(0, 3);
  watch.leave({1, 0}, 0);
  const std::vector<Rank> others = {0, 2};
  const std::vector<Rank> all = {0, 1, 2};
  EXPECT_FALSE(watch.hasAnyLeft(others));
  EXPECT_TRUE(watch.hasAnyLeft(all));
}

}  // namespace
}  // namespace signccl
