// SPDX-License-Identifier: Apache-2.0
// Members that are ready: gatherings, failures, announcements, and ranks that leave.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/hub_test_support.h"
#include "control/job.h"
#include "control/member.h"
#include "support/caught.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr GatheringId kFirstSplit{Gathering::kSplit, 1};

/// Three ranks that are ready.
class ReadyMemberTest : public HubTest {
 protected:
  ReadyMemberTest() { expectReady(ranks_, 3); }

  std::vector<JobRank> ranks_ = joinAll(openHub(), 3);
};

TEST_F(ReadyMemberTest, GatheredPartsAreInTheOrderOfTheRanks) {
  for (const std::uint64_t number : {1U, 2U}) {
    const GatheringId id{Gathering::kSplit, number};
    for (const int rank : {2, 0, 1}) ranks_[static_cast<std::size_t>(rank)]->gather(id, std::to_string(rank));
    for (const JobRank& rank : ranks_) {
      EXPECT_EQ(rank->awaitGathered(id, in(kPatience)), (std::vector<std::string>{"0", "1", "2"}));
    }
  }
}

TEST_F(ReadyMemberTest, GatheringThatIsLateNamesTheMissingRanksOnAll) {
  ranks_[1]->gather(kFirstSplit, "part");
  EXPECT_EQ(caught([&] { ranks_[1]->awaitGathered(kFirstSplit, in(10ms)); }),
            (Caught{signcclTimeout, "rank 1 timed out waiting for ranks 0 and 2 to split the communicator"}));
  EXPECT_EQ(caught([&] { ranks_[0]->awaitGathered(kFirstSplit, in(kPatience)); }).code, signcclTimeout);
}

TEST_F(ReadyMemberTest, FirstFailureReachesAllRanks) {
  ranks_[2]->fail({signcclRemoteError, "rank 2 aborted", Failure::Scope::kGroup, {2}});
  for (const JobRank& rank : ranks_) {
    EXPECT_TRUE(eventually([&] { return rank->failed(); }));
    EXPECT_EQ(rank->failure().message, "rank 2 aborted");
    EXPECT_EQ(rank->failure().gone, (std::vector<Rank>{2}));
    EXPECT_EQ(caught([&] { rank->begin(0, exampleAnnounce().signature, false); }).message, "rank 2 aborted");
  }
}

TEST_F(ReadyMemberTest, FailureIsPassedToAGroupThatIsBeingJoined) {
  const auto before = Member::join(memberOptions(openHub(), 0, 2));
  const auto after = Member::join(memberOptions(openHub(), 0, 2));
  ranks_[1]->passFailuresTo(before);
  ranks_[2]->fail({signcclRemoteError, "rank 2 aborted", Failure::Scope::kGroup, {2}});
  EXPECT_EQ(caught([&] { before->awaitReady(in(kPatience)); }).message, "rank 2 aborted");
  EXPECT_TRUE(before->failure().gone.empty()) << "its ranks have other numbers";
  ranks_[2]->passFailuresTo(after);
  EXPECT_EQ(caught([&] { after->awaitReady(in(kPatience)); }).message, "rank 2 aborted");
  before->close();
  after->close();
}

TEST_F(ReadyMemberTest, ExchangeThatIsAnnouncedAtOnceIsConfirmed) {
  for (const JobRank& rank : ranks_) rank->begin(0, exampleAnnounce().signature, true);
  for (const JobRank& rank : ranks_) EXPECT_TRUE(eventually([&] { return rank->allAnnounced(0); }));
  EXPECT_FALSE(ranks_[0]->allAnnounced(1));
}

TEST_F(ReadyMemberTest, ExchangeThatDoesNotEndIsComparedByItself) {
  const std::string other = exampleAnnounce().signature + "another";
  ranks_[0]->begin(0, exampleAnnounce().signature, false);
  ranks_[2]->begin(0, other, false);
  for (const JobRank& rank : ranks_) {
    EXPECT_TRUE(eventually([&] { return rank->failed(); }));
    EXPECT_THAT(rank->failure().message, HasSubstr("the ranks disagree in exchange number 0: the calls of rank "));
  }
}

TEST_F(ReadyMemberTest, RanksThatHaveNotBegunAreMissing) {
  ranks_[0]->begin(0, exampleAnnounce().signature, false);
  ranks_[1]->begin(0, exampleAnnounce().signature, false);
  // The hub learns by a heartbeat that rank 1 has begun.
  EXPECT_TRUE(eventually([&] { return ranks_[0]->missing(0) == std::vector<Rank>{2}; }));
}

TEST_F(ReadyMemberTest, ExchangeAfterARankLeftIsRefused) {
  ranks_[1]->leave();
  EXPECT_TRUE(eventually([&] {
    return caught([&] { ranks_[0]->begin(0, exampleAnnounce().signature, false); }).message ==
           "rank 1 destroyed its communicator and takes no part in exchange number 0, which rank 0 has called";
  }));
}

TEST_F(ReadyMemberTest, RankThatLeavesHasTakenPartInWhatItEnded) {
  ranks_[0]->begin(4, exampleAnnounce().signature, false);
  for (std::uint64_t exchange = 0; exchange <= 4; ++exchange) ranks_[1]->end(exchange);  // all too soon to be noted
  EXPECT_NO_THROW(ranks_[2]->throwIfLeft(5));
  ranks_[1]->leave();
  EXPECT_TRUE(eventually([&] { return !caught([&] { ranks_[2]->throwIfLeft(5); }).message.empty(); }));
  EXPECT_NO_THROW(ranks_[2]->throwIfLeft(4));
  EXPECT_FALSE(ranks_[0]->failed()) << ranks_[0]->failure().message;
}

TEST_F(ReadyMemberTest, RankThatLeavesDuringAnExchangeOfTheOthersFailsThem) {
  ranks_[0]->begin(0, exampleAnnounce().signature, false);
  ranks_[1]->leave();
  EXPECT_TRUE(eventually([&] { return ranks_[0]->failed() && ranks_[2]->failed(); }));
  EXPECT_THAT(ranks_[2]->failure().message, HasSubstr("rank 1 destroyed its communicator"));
}

TEST_F(ReadyMemberTest, AllHaveLeftOnceEachHas) {
  for (const JobRank& rank : ranks_) EXPECT_FALSE(rank->allLeft());
  for (const JobRank& rank : ranks_) rank->leave();
  for (const JobRank& rank : ranks_) EXPECT_TRUE(eventually([&] { return rank->allLeft(); }));
  for (const JobRank& rank : ranks_) EXPECT_FALSE(rank->failed());
}

TEST_F(ReadyMemberTest, RankThatClosesWithoutLeavingFailsTheOthers) {
  ranks_[1]->close();
  EXPECT_TRUE(eventually([&] { return ranks_[0]->failed(); }));
  EXPECT_THAT(ranks_[0]->failure().message, HasSubstr("rank 1 died or cannot be reached"));
}

}  // namespace
}  // namespace signccl
