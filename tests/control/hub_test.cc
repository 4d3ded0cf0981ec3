// SPDX-License-Identifier: Apache-2.0
#include "control/hub.h"

#include <future>
#include <limits>
#include <thread>
#include <unistd.h>
#include <vector>

#include <asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "control/control_thread.h"
#include "control/failures.h"
#include "control/hub_test_support.h"
#include "control/job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using testing::HasSubstr;

constexpr GatheringId kFifth{Gathering::kSplit, 5};
const std::string kLargePart(4 << 20, 'x');

/// Asked in the control thread.
bool haveToldAll(const MeetingPoint& point) {
  std::promise<bool> answer;
  asio::post(controlContext(), [&] { answer.set_value(Hub::haveToldAll(controlContext(), point)); });
  return answer.get_future().get();
}

/// A job of raw ranks, all of which have joined.
class FullHubTest : public HubTest {
 protected:
  explicit FullHubTest(int nranks = 3) {
    for (Rank rank = 0; rank < nranks; ++rank) ranks_.push_back(greet(point_, exampleHello(rank, nranks)));
    for (const RawPeer& rank : ranks_) {
      const auto roster = rank.receiveMessage();
      EXPECT_TRUE(roster && roster->type == MessageType::kRoster);
      if (!roster) continue;
      EXPECT_EQ(decodeRoster(roster->payload).ranks, exampleRoster(nranks).ranks);
    }
  }

  RawPeer& at(Rank rank) { return ranks_[static_cast<std::size_t>(rank)]; }

  const MeetingPoint point_ = openHub();
  std::vector<RawPeer> ranks_;
};

TEST_F(HubTest, RankThatIsTakenIsRefusedAndTheJobGoesOn) {
  const MeetingPoint point = openHub();
  const RawPeer first = greet(point, exampleHello(0, 2));
  EXPECT_TRUE(isLogged("joined from"));
  const RawPeer refused = greet(point, exampleHello(0, 2));
  EXPECT_EQ(failureTo(refused), "rank 0 has joined this communicator already");
  EXPECT_TRUE(refused.isDropped());
  EXPECT_TRUE(isLogged("rank 0 has joined this communicator already"));
  const RawPeer second = greet(point, exampleHello(1, 2));
  EXPECT_EQ(second.receiveMessage()->type, MessageType::kRoster);
}

TEST_F(HubTest, RanksOutOfRangeAreRefusedAndTheJobGoesOn) {
  constexpr int kLowest = std::numeric_limits<int>::min();
  constexpr int kHighest = std::numeric_limits<int>::max();
  const MeetingPoint point = openHub();
  const std::vector<std::pair<Rank, int>> wrong = {
      {-1, 2},      {2, 2},        {kLowest, 2}, {kHighest, 2},      {0, 0},
      {0, kLowest}, {0, kHighest}, {-1, -1},     {0, kMaxRanks + 1}, {kHighest, kHighest}};
  for (const auto& [rank, nranks] : wrong) {
    const RawPeer refused = greet(point, exampleHello(rank, nranks));
    EXPECT_EQ(failureTo(refused), outOfRange(rank, nranks).message);
    EXPECT_TRUE(refused.isDropped());
  }
  expectReady(joinAll(point, 2), 2);
}

/// Rank 0 joins, then `other`, which must not: both are told why, and so is whoever comes later.
void expectFailureOfAll(const MeetingPoint& point, const HelloMessage& other, const std::string& expected) {
  const RawPeer first = greet(point, exampleHello(0, 3));
  RawPeer refused = greet(point, other);
  EXPECT_THAT(failureTo(first), HasSubstr(expected));
  EXPECT_THAT(failureTo(refused), HasSubstr(expected));
  EXPECT_TRUE(refused.isDropped());
  EXPECT_THAT(failureTo(greet(point, exampleHello(2, 3))), HasSubstr(expected)) << "too late";
}

TEST_F(HubTest, OtherWireVersionFailsEveryRankWithBothVersions) {
  HelloMessage other = exampleHello(1, 3);
  other.wire_version = 77;
  expectFailureOfAll(openHub(), other, "different versions of SignCCL: the wire format is 77 at 127.0.0.1:");
}

TEST_F(HubTest, OtherVersionFailsEveryRankWithBothVersions) {
  HelloMessage other = exampleHello(1, 3);
  other.version = "0.2.0";
  expectFailureOfAll(openHub(), other, "the ranks have different versions of SignCCL: ");
}

TEST_F(HubTest, OtherSettingsFailEveryRankWithBothValues) {
  HelloMessage other = exampleHello(1, 3);
  other.settings[1].second = "65";
  expectFailureOfAll(openHub(), other, "the ranks have different settings: SIGNCCL_SLICE_BYTES is ");
}

TEST_F(HubTest, SettingThatOneRankDoesNotKnowFailsEveryRank) {
  HelloMessage other = exampleHello(1, 3);
  other.settings.pop_back();
  expectFailureOfAll(openHub(), other, "the ranks have different settings: SIGNCCL_SLICE_BYTES is ");
}

TEST_F(HubTest, OtherPatchVersionIsTaken) {
  const MeetingPoint point = openHub();
  HelloMessage other = exampleHello(1, 2);
  other.version = "0.1.9";
  const RawPeer first = greet(point, exampleHello(0, 2));
  const RawPeer second = greet(point, other);
  EXPECT_EQ(first.receiveMessage()->type, MessageType::kRoster);
}

TEST_F(HubTest, CompleteJobIsListenedForNoMore) {
  const MeetingPoint point = openHub();
  expectReady(joinAll(point, 2), 2);
  EXPECT_ANY_THROW(RawPeer{point.address});
}

TEST_F(HubTest, RankThatDiesBeforeTheOthersComeFailsThem) {
  const MeetingPoint point = openHub();
  const RawPeer first = greet(point, exampleHello(0, 3));
  greet(point, exampleHello(2, 3)).close();
  EXPECT_THAT(failureTo(first), HasSubstr("rank 2 died or cannot be reached: its control connection: "));
  EXPECT_THAT(failureTo(greet(point, exampleHello(1, 3))), HasSubstr("rank 2 died"));
}

TEST_F(FullHubTest, RankThatDiesIsNamedToTheOthers) {
  at(1).close();
  EXPECT_THAT(failureTo(at(0)), HasSubstr("rank 1 died or cannot be reached: its control connection: "));
  EXPECT_THAT(failureTo(at(2)), HasSubstr("rank 1 died"));
}

TEST_F(FullHubTest, SecondGreetingOfARankIsItsFailure) {
  at(1).send(MessageType::kHello, encode(exampleHello(1, 3)));
  EXPECT_THAT(failureTo(at(0)), HasSubstr("rank 1 died or cannot be reached: its control connection: malformed"));
  EXPECT_TRUE(at(1).isDropped());
}

TEST_F(FullHubTest, NonsenseOfARankIsItsFailure) {
  at(2).send("\xff\xff\xff\xff\xff");
  EXPECT_THAT(failureTo(at(0)), HasSubstr("rank 2 died or cannot be reached: its control connection: malformed"));
  EXPECT_THAT(failureTo(at(1)), HasSubstr("it announces 4294967295 bytes, expected at most 67108864"));
}

TEST_F(FullHubTest, FailureOfARankReachesAllOthersOnce) {
  at(1).send(MessageType::kFailure, encode(exampleFailure()));
  at(2).send(MessageType::kFailure, encode(Failure{signcclRemoteError, "another one"}));
  for (const Rank rank : {0, 1, 2})
    EXPECT_THAT(failureTo(at(rank)), testing::AnyOf("another one", "rank 1 waited in vain"));
  at(0).send(MessageType::kQuery, encodeNumber(0));
  EXPECT_EQ(at(0).receiveMessage()->type, MessageType::kMissing) << "and no second failure";
}

/// The next descriptor is the last that may be opened.
class LastDescriptor {
 public:
  LastDescriptor() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int next = dup(0);
    close(next);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(next) + 1;
    setrlimit(RLIMIT_NOFILE, &few);
  }
  ~LastDescriptor() { setrlimit(RLIMIT_NOFILE, &before_); }
  LastDescriptor(const LastDescriptor&) = delete;
  LastDescriptor& operator=(const LastDescriptor&) = delete;

 private:
  rlimit before_{};
};

TEST_F(HubTest, HubThatHasNoDescriptorForARankFailsThoseThatAreThere) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer looks at memory through a pipe, for which no descriptor is left";
  const MeetingPoint point = openHub();
  const RawPeer first = greet(point, exampleHello(0, 2));
  EXPECT_TRUE(isLogged("joined from"));
  const LastDescriptor last;
  const RawPeer second = greet(point, exampleHello(1, 2));
  EXPECT_THAT(failureTo(first), HasSubstr("can take no rank in: too many open files: "));
}

TEST_F(FullHubTest, WhatARankDoesNotReadIsNotTold) {
  EXPECT_TRUE(eventually([&] { return haveToldAll(point_); }));
  const GatheringId id{Gathering::kSplit, 1};
  // More than the sockets hold.
  for (Rank rank = 0; rank < 3; ++rank) at(rank).send(MessageType::kGather, encode(GatherMessage{id, kLargePart}));
  for (const Rank rank : {0, 1}) EXPECT_EQ(at(rank).receiveMessage()->type, MessageType::kGathered);
  EXPECT_FALSE(haveToldAll(point_));
  EXPECT_EQ(at(2).receiveMessage()->type, MessageType::kGathered);
  EXPECT_TRUE(eventually([&] { return haveToldAll(point_); }));
}

TEST_F(FullHubTest, RankThatLeftIsToldOnceAndMayGo) {
  at(1).send(MessageType::kLeave, encodeNumber(4));
  at(1).send(MessageType::kLeave, encodeNumber(4));
  at(1).send(MessageType::kHeartbeat, encodeNumber(4));
  at(1).close();
  for (const Rank rank : {0, 2}) {
    const auto left = at(rank).receiveMessage();
    ASSERT_TRUE(left && left->type == MessageType::kLeft);
    EXPECT_EQ(decodeLeft(left->payload).rank, 1);
    EXPECT_EQ(decodeLeft(left->payload).begun, 4U);
  }
  at(0).send(MessageType::kLeave, encodeNumber(4));
  EXPECT_EQ(at(2).receiveMessage()->type, MessageType::kLeft);
  at(2).send(MessageType::kLeave, encodeNumber(4));
  EXPECT_EQ(at(2).receiveMessage()->type, MessageType::kLeft);
  EXPECT_EQ(at(2).receiveMessage()->type, MessageType::kAllLeft);
}

TEST_F(FullHubTest, ExchangeThatAllAnnounceAlikeIsConfirmed) {
  for (const RawPeer& rank : ranks_) rank.send(MessageType::kAnnounce, encode(exampleAnnounce(7)));
  for (const RawPeer& rank : ranks_) {
    EXPECT_EQ(rank.receiveMessage(), (SentFrame{MessageType::kAllAnnounced, encodeNumber(7)}));
  }
}

TEST_F(FullHubTest, RankThatAnnouncesTwiceDoesNotCountTwice) {
  for (int i = 0; i < 3; ++i) at(0).send(MessageType::kAnnounce, encode(exampleAnnounce(7)));
  at(0).send(MessageType::kQuery, encodeNumber(7));
  EXPECT_EQ(at(0).receiveMessage()->type, MessageType::kMissing);
}

TEST_F(FullHubTest, ExchangeThatRanksAnnounceDifferentlyFailsAll) {
  AnnounceMessage other = exampleAnnounce(7);
  other.signature += "another";
  at(0).send(MessageType::kAnnounce, encode(exampleAnnounce(7)));
  at(2).send(MessageType::kAnnounce, encode(other));
  for (const RawPeer& rank : ranks_) {
    EXPECT_THAT(failureTo(rank), HasSubstr("the ranks disagree in exchange number 7: the calls of rank "));
  }
}

TEST_F(FullHubTest, ExchangeAfterARankLeftFailsAll) {
  at(1).send(MessageType::kLeave, encodeNumber(7));
  EXPECT_EQ(at(0).receiveMessage()->type, MessageType::kLeft);
  at(0).send(MessageType::kAnnounce, encode(exampleAnnounce(7)));
  EXPECT_THAT(failureTo(at(0)), HasSubstr("rank 1 destroyed its communicator and takes no part in exchange number 7"));
}

TEST_F(FullHubTest, QueryNamesThoseWhoHaveNotBegun) {
  at(2).send(MessageType::kHeartbeat, encodeNumber(8));
  at(2).send(MessageType::kQuery, encodeNumber(7));
  const auto answer = at(2).receiveMessage();
  ASSERT_TRUE(answer && answer->type == MessageType::kMissing);
  EXPECT_EQ(decodeMissing(answer->payload).exchange, 7U);
  EXPECT_EQ(decodeMissing(answer->payload).ranks, (std::vector<Rank>{0, 1}));
}

TEST_F(FullHubTest, GatheringEndsOnceEveryRankGaveItsPart) {
  for (const char* const part : {"first", "second"})
    at(2).send(MessageType::kGather, encode(GatherMessage{kFifth, part}));
  at(0).send(MessageType::kGather, encode(GatherMessage{kFifth, ""}));
  at(1).send(MessageType::kGather, encode(GatherMessage{{Gathering::kSplit, 6}, "another"}));
  at(1).send(MessageType::kGather, encode(GatherMessage{kFifth, "part"}));
  for (const RawPeer& rank : ranks_) {
    const auto gathered = rank.receiveMessage();
    ASSERT_TRUE(gathered && gathered->type == MessageType::kGathered);
    EXPECT_EQ(decodeGathered(gathered->payload).id, kFifth);
    EXPECT_EQ(decodeGathered(gathered->payload).parts[1], "part");
  }
}

TEST_F(FullHubTest, GatheringThatARankLeftFailsAll) {
  at(1).send(MessageType::kLeave, encodeNumber(0));
  EXPECT_EQ(at(0).receiveMessage()->type, MessageType::kLeft);
  at(0).send(MessageType::kGather, encode(GatherMessage{kFifth, ""}));
  EXPECT_THAT(failureTo(at(0)), HasSubstr("rank 1 destroyed its communicator and takes no part in the split"));
}

TEST_F(FullHubTest, OverdueGatheringNamesThoseWhoAreMissing) {
  at(1).send(MessageType::kOverdue, encode(kFifth));  // of which nobody has heard
  at(1).send(MessageType::kGather, encode(GatherMessage{kFifth, ""}));
  at(1).send(MessageType::kOverdue, encode(kFifth));
  EXPECT_EQ(failureTo(at(0)), "rank 1 timed out waiting for ranks 0 and 2 to split the communicator");
}

TEST_F(FullHubTest, RankThatDiesIsTheOneThatIsGone) {
  at(1).close();
  const Failure failure = nextFailure(at(0));
  EXPECT_EQ(failure.gone, (std::vector<Rank>{1}));
  EXPECT_EQ(failure.scope, Failure::Scope::kGroup);
}

TEST_F(FullHubTest, RankThatLeftIsTheOneThatIsGone) {
  at(1).send(MessageType::kLeave, encodeNumber(7));
  EXPECT_EQ(at(0).receiveMessage()->type, MessageType::kLeft);
  at(0).send(MessageType::kAnnounce, encode(exampleAnnounce(7)));
  EXPECT_EQ(nextFailure(at(0)).gone, (std::vector<Rank>{1}));
}

TEST_F(FullHubTest, RanksThatAreLateAreThoseThatAreGone) {
  at(1).send(MessageType::kGather, encode(GatherMessage{kFifth, ""}));
  at(1).send(MessageType::kOverdue, encode(kFifth));
  EXPECT_EQ(nextFailure(at(0)).gone, (std::vector<Rank>{0, 2}));
}

TEST_F(FullHubTest, NobodyIsGoneWhenRanksDisagree) {
  at(0).send(MessageType::kAnnounce, encode(exampleAnnounce(7)));
  at(2).send(MessageType::kAnnounce, encode(AnnounceMessage{7, "another"}));
  const Failure failure = nextFailure(at(1));
  EXPECT_EQ(failure.code, signcclInvalidUsage);
  EXPECT_TRUE(failure.gone.empty());
  EXPECT_EQ(failure.scope, Failure::Scope::kExchange);
}

TEST_F(FullHubTest, FailureOfARankKeepsWhoIsGoneOnItsWay) {
  at(1).send(MessageType::kFailure, encode(exampleFailure()));
  const Failure failure = nextFailure(at(0));
  EXPECT_EQ(failure.gone, exampleFailure().gone);
  EXPECT_EQ(failure.scope, exampleFailure().scope);
}

TEST_F(FullHubTest, FailureThatNamesARankThatIsNotIsTheFailureOfItsSender) {
  at(1).send(MessageType::kFailure, encode(Failure{signcclRemoteError, "gone", Failure::Scope::kGroup, {3}}));
  const Failure failure = nextFailure(at(0));
  EXPECT_THAT(failure.message, HasSubstr("rank 1 died or cannot be reached: its control connection: malformed"));
  EXPECT_EQ(failure.gone, (std::vector<Rank>{1}));
}

TEST_F(HubTest, WhoCallsDifferentlyIsDescribedByTheOwnerOfTheSignatures) {
  const MeetingPoint point =
      openHub({.describe = [](const std::string& a, Rank rank_a, const std::string& b, Rank rank_b) {
        return a + " of " + std::to_string(rank_a) + ", " + b + " of " + std::to_string(rank_b);
      }});
  const RawPeer first = greet(point, exampleHello(0, 2));
  const RawPeer second = greet(point, exampleHello(1, 2));
  for (const RawPeer* const rank : {&first, &second}) EXPECT_TRUE(rank->receiveMessage());
  first.send(MessageType::kAnnounce, encode(AnnounceMessage{3, "one"}));
  EXPECT_TRUE(isLogged("joined"));
  second.send(MessageType::kAnnounce, encode(AnnounceMessage{3, "other"}));
  EXPECT_THAT(failureTo(first), testing::AnyOf("the ranks disagree in exchange number 3: one of 0, other of 1",
                                               "the ranks disagree in exchange number 3: other of 1, one of 0"));
}

/// Whether somebody listens there.
bool isListenedAt(const MeetingPoint& point) {
  try {
    const RawPeer peer(point.address);
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

TEST_F(HubTest, HubToWhichNoRankComesListensNoMoreAfterItsTime) {
  const MeetingPoint point = openHub({.unused_time = std::chrono::milliseconds(1)});
  EXPECT_TRUE(eventually([&] { return !isListenedAt(point); }));
  EXPECT_TRUE(isLogged("no longer listens at " + toText(point.address) + ": no rank has come"));
}

TEST_F(HubTest, HubToWhichARankHasComeListensOnAfterItsTime) {
  const MeetingPoint other = openHub({.unused_time = std::chrono::milliseconds(1)});
  const std::chrono::milliseconds time = 3 * kHeartbeatInterval;
  const MeetingPoint point = openHub({.unused_time = time});
  const JobRank first(point, 0, 2);
  EXPECT_TRUE(isLogged("1 of 2 are there"));
  std::this_thread::sleep_for(time);
  EXPECT_TRUE(eventually([&] { return !isListenedAt(other); }));  // the hubs have looked at their clocks
  const JobRank second(point, 1, 2);
  first->awaitReady(in(kPatience));
}

}  // namespace
}  // namespace signccl
