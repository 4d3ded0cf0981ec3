// SPDX-License-Identifier: Apache-2.0
#include "control/failures.h"

#include <gtest/gtest.h>

namespace signccl {
namespace {

TEST(FailuresTest, MissingRanksAreListed) {
  EXPECT_EQ(
      neverJoined(1, {0}, 4).message,
      "rank 1 timed out waiting for rank 0 of 4 to join (not started, or with another unique id or SIGNCCL_COMM_ID?)");
  EXPECT_EQ(neverJoined(1, {0, 2, 3}, 4).message,
            "rank 1 timed out waiting for ranks 0, 2 and 3 of 4 to join (not started, or with another unique id or "
            "SIGNCCL_COMM_ID?)");
  EXPECT_EQ(neverGathered(1, Gathering::kSplit, {0}).message,
            "rank 1 timed out waiting for rank 0 to split the communicator");
  EXPECT_EQ(neverJoined(1, {0}, 4).code, signcclTimeout);
  EXPECT_EQ(neverGathered(1, Gathering::kSplit, {0}).code, signcclTimeout);
}

TEST(FailuresTest, WhatIsOutOfRangeIsNamedWithItsRange) {
  EXPECT_EQ(outOfRange(7, 4).message, "rank 7 is out of range for a communicator of 4 ranks, expected 0 to 3");
  EXPECT_EQ(outOfRange(-1, 1).message, "rank -1 is out of range for a communicator of 1 ranks, expected 0 to 0");
  EXPECT_EQ(outOfRange(0, 40000).message, "a communicator of 40000 ranks is out of range, expected 1 to 32767");
  EXPECT_EQ(outOfRange(0, 4).code, signcclInvalidUsage);
}

TEST(FailuresTest, AllGathersNameTheCallAndTheRanks) {
  EXPECT_EQ(leftBeforeGathering(1, Gathering::kAllGather, 2).message,
            "rank 1 destroyed its communicator and takes no part in the signcclCommAllGather() that rank 2 has called");
  EXPECT_EQ(neverGathered(0, Gathering::kAllGather, {1, 2}).message,
            "rank 0 timed out waiting for ranks 1 and 2 to call signcclCommAllGather()");
  EXPECT_EQ(otherGatherSize(0, 4, 2, 5).message,
            "the ranks disagree in signcclCommAllGather(): bytes is 4 on rank 0 and 5 on rank 2");
  EXPECT_EQ(splitMeetsAllGather(1, 0).message,
            "the ranks disagree: rank 1 has called signcclCommSplit() where rank 0 has called signcclCommAllGather()");
}

TEST(FailuresTest, LongListsOfRanksAreCut) {
  std::vector<Rank> ranks(9);
  for (Rank rank = 0; rank < 9; ++rank) ranks[static_cast<std::size_t>(rank)] = rank;
  EXPECT_EQ(rankNames(ranks), "ranks 0, 1, 2, 3, 4, 5, 6, 7 and 8");
  ranks.push_back(9);
  EXPECT_EQ(rankNames(ranks), "ranks 0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
  EXPECT_EQ(rankNames({}), "");
}

TEST(FailuresTest, RankThatLeftIsNamedWithTheOneThatWaits) {
  EXPECT_EQ(leftBeforeExchange(2, 7, 0).message,
            "rank 2 destroyed its communicator and takes no part in exchange number 7, which rank 0 has called");
  EXPECT_EQ(leftBeforeGathering(2, Gathering::kSplit, 0).message,
            "rank 2 destroyed its communicator and takes no part in the split that rank 0 has called");
}

TEST(FailuresTest, DisagreementNamesBothRanksAndValues) {
  const Failure failure = disagreement(3, "count is 10 on rank 0 and 11 on rank 2");
  EXPECT_EQ(failure.code, signcclInvalidUsage);
  EXPECT_EQ(failure.message, "the ranks disagree in exchange number 3: count is 10 on rank 0 and 11 on rank 2");
}

TEST(FailuresTest, RanksThatAreGoneAreNamedInNumbersToo) {
  EXPECT_EQ(leftBeforeExchange(2, 7, 0).gone, (std::vector<Rank>{2}));
  EXPECT_EQ(leftBeforeGathering(2, Gathering::kSplit, 0).gone, (std::vector<Rank>{2}));
  EXPECT_EQ(neverJoined(1, {0, 3}, 4).gone, (std::vector<Rank>{0, 3}));
  EXPECT_EQ(neverGathered(1, Gathering::kSplit, {0, 3}).gone, (std::vector<Rank>{0, 3}));
  for (const Failure& one : {leftBeforeExchange(2, 7, 0), neverJoined(1, {0, 3}, 4), otherSize(1, 3, 4)}) {
    EXPECT_EQ(one.scope, Failure::Scope::kGroup) << one.message;
  }
}

TEST(FailuresTest, NobodyIsGoneWhenRanksDisagree) {
  for (const Failure& one : {disagreement(3, "count"), differentSettings("SIGNCCL_ALGO")}) {
    EXPECT_TRUE(one.gone.empty());
    EXPECT_EQ(one.scope, Failure::Scope::kExchange);
  }
  EXPECT_TRUE(otherSize(1, 3, 4).gone.empty());
}

}  // namespace
}  // namespace signccl
