// SPDX-License-Identifier: Apache-2.0
#include "comm/announcements.h"

#include <gtest/gtest.h>

namespace signccl {
namespace {

ExchangeSignature voteOf(std::uint64_t count) { return {.calls = {{count}}}; }

/// Announces and gives the message, "" if all is well.
std::string announce(Announcements& board, Rank rank, std::uint64_t exchange, std::uint64_t count = 5) {
  const auto failure = board.announce(rank, exchange, voteOf(count));
  return failure ? failure->message : "";
}

TEST(AnnouncementsTest, ExchangeIsCompleteWhenEveryRankHasAnnouncedIt) {
  Announcements board(3);
  for (const Rank rank : {2, 0, 1}) {
    EXPECT_FALSE(board.complete(0));
    EXPECT_EQ(announce(board, rank, 0), "");
  }
  EXPECT_TRUE(board.complete(0));
  EXPECT_FALSE(board.complete(1));
}

TEST(AnnouncementsTest, DifferentSignaturesAreADisagreementOfTwoRanks) {
  Announcements board(3);
  EXPECT_EQ(announce(board, 1, 0, 5), "");
  EXPECT_EQ(announce(board, 2, 0, 5), "");
  const auto failure = board.announce(0, 0, voteOf(6));
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, signcclInvalidUsage);
  EXPECT_EQ(failure->message,
            "the ranks disagree in exchange number 0: count is 5 on rank 1 and 6 on rank 0 (a rank may have left out "
            "or repeated a call)");
}

TEST(AnnouncementsTest, RankFarAheadOfTheOthersIsComparedWithThemLater) {
  constexpr std::uint64_t kAhead = 100;
  Announcements board(2);
  for (std::uint64_t exchange = 0; exchange < kAhead; ++exchange) EXPECT_EQ(announce(board, 0, exchange, exchange), "");
  for (std::uint64_t exchange = 0; exchange < 77; ++exchange) {
    ASSERT_EQ(announce(board, 1, exchange, exchange), "");
    ASSERT_TRUE(board.complete(exchange));
  }
  EXPECT_EQ(announce(board, 1, 77, 1),
            "the ranks disagree in exchange number 77: count is 77 on rank 0 and 1 on rank 1 (a rank may have left out "
            "or repeated a call)");
}

TEST(AnnouncementsTest, ManyExchangesInTurnsAreAllComplete) {
  Announcements board(2);
  for (std::uint64_t exchange = 0; exchange < 1000; ++exchange) {
    const Rank first = static_cast<Rank>(exchange % 2);
    ASSERT_EQ(announce(board, first, exchange, exchange), "");
    ASSERT_FALSE(board.complete(exchange));
    ASSERT_EQ(announce(board, 1 - first, exchange, exchange), "");
    ASSERT_TRUE(board.complete(exchange));
  }
}

TEST(AnnouncementsTest, MissingRanksAreThoseThatHaveNotAnnounced) {
  Announcements board(4);
  announce(board, 2, 0);
  announce(board, 2, 1);
  announce(board, 0, 0);
  EXPECT_EQ(board.missing(0), (std::vector<Rank>{1, 3}));
  EXPECT_EQ(board.missing(1), (std::vector<Rank>{0, 1, 3}));
}

TEST(AnnouncementsTest, RankThatLeavesWhileAnotherWaitsIsAFailure) {
  Announcements board(2);
  announce(board, 0, 0);
  announce(board, 1, 0);
  announce(board, 0, 1);
  const auto failure = board.leave(1);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, signcclRemoteError);
  EXPECT_EQ(failure->message,
            "rank 1 destroyed its communicator and takes no part in exchange number 1, which rank 0 has called");
}

TEST(AnnouncementsTest, ExchangeThatNeedsARankThatHasLeftIsAFailure) {
  Announcements board(2);
  EXPECT_FALSE(board.leave(1));
  EXPECT_TRUE(board.hasLeft(1));
  EXPECT_FALSE(board.hasLeft(0));
  EXPECT_EQ(announce(board, 0, 0),
            "rank 1 destroyed its communicator and takes no part in exchange number 0, which rank 0 has called");
}

TEST(AnnouncementsTest, RankMayLeaveAfterItsLastExchangeThatOthersHaveYetToAnnounce) {
  Announcements board(3);
  announce(board, 1, 0);
  EXPECT_FALSE(board.leave(1));
  EXPECT_EQ(announce(board, 0, 0), "");
  EXPECT_EQ(announce(board, 2, 0), "");
  EXPECT_FALSE(board.leave(0));
  EXPECT_FALSE(board.leave(2));
}

}  // namespace
}  // namespace signccl
