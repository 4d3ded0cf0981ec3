// SPDX-License-Identifier: Apache-2.0
#include "control/member.h"

#include <atomic>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/hub_test_support.h"
#include "control/job.h"
#include "support/caught.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

Caught failureOf(const JobRank& rank, std::chrono::milliseconds longest = kPatience) {
  return caught([&] { rank->awaitReady(in(longest)); });
}

/// A member whose hub is the test.
class FakeHubTest : public testing::Test {
 protected:
  /// Rank 0 of 2 joins and has greeted.
  void join() {
    reached_at_ = {};
    MemberOptions options = memberOptions({listener_.address(), kExampleSecret}, 0, 2);
    options.on_address_wanted = [this, tell = options.on_address_wanted](Member& member) {
      reached_at_.set_value(member.reachedAt().to_string());
      tell(member);
    };
    member_.emplace(std::move(options));
    hub_.emplace(listener_.accept());
    const auto hello = hub_->receiveMessage();
    ASSERT_TRUE(hello && hello->type == MessageType::kHello);
    EXPECT_EQ(encode(decodeHello(hello->payload)).size(), encode(exampleHello(0, 2)).size());
  }
  /// Rank 0 is ready.
  void makeReady() {
    join();
    hub_->send(MessageType::kRoster, encode(exampleRoster(2)));
    EXPECT_EQ(hub_->receiveMessage(),
              (SentFrame{MessageType::kGather, encode(GatherMessage{kAddressGathering, exampleAddress(0)})}));
    hub_->send(MessageType::kGathered, encode(addresses()));
    member()->awaitReady(in(kPatience));
  }
  static GatheredMessage addresses() { return {kAddressGathering, {exampleAddress(0), exampleAddress(1)}}; }

  JobRank& member() { return *member_; }

  /// What a message of the hub to a member that is not ready leads to.
  Caught failureAfter(MessageType type, const std::string& payload) {
    join();
    hub_->send(type, payload);
    return failureOf(member());
  }
  /// The same for one that is ready.
  std::string failureWhenReady(MessageType type, const std::string& payload) {
    makeReady();
    hub_->send(type, payload);
    EXPECT_TRUE(eventually([&] { return member()->failed(); }));
    return member()->failure().message;
  }

  RawListener listener_;
  std::promise<std::string> reached_at_;
  std::optional<JobRank> member_;
  std::optional<RawPeer> hub_;
};

TEST_F(FakeHubTest, RankBecomesReadyByRosterAndAddresses) {
  makeReady();
  EXPECT_EQ(member()->ranks(), exampleRoster(2).ranks);
  EXPECT_EQ(member()->addresses(), addresses().parts);
  EXPECT_EQ(member()->group(), kExampleSecret);
  EXPECT_FALSE(member()->inOneProcess());
}

TEST_F(FakeHubTest, RankOnTheHostOfTheHubIsReachedWhereOthersReachedTheHub) {
  join();
  RosterMessage roster = exampleRoster(2);
  roster.ranks[1].hub_address = "10.1.2.3";
  hub_->send(MessageType::kRoster, encode(roster));
  EXPECT_EQ(reached_at_.get_future().get(), "10.1.2.3");
}

TEST_F(FakeHubTest, RanksOfOneHostReachEachOtherAsTheyReachedTheHub) {
  makeReady();
  EXPECT_EQ(reached_at_.get_future().get(), "127.0.0.1");
}

TEST_F(FakeHubTest, GarbageInsteadOfTheRosterIsAnErrorThatNamesTheAddress) {
  join();
  hub_->send("HTTP/1.1 400 Bad Request\r\n\r\n");
  const Caught error = failureOf(member());
  EXPECT_EQ(error.code, signcclRemoteError);
  EXPECT_THAT(error.message, HasSubstr("the process at " + toText(listener_.address()) + " died or cannot be reached"));
  EXPECT_THAT(error.message, HasSubstr("malformed control message"));
}

TEST_F(FakeHubTest, RosterThatEndsMidwayIsAnError) {
  join();
  hub_->send(encodeFrame({MessageType::kRoster, encode(exampleRoster(2))}).substr(0, 40));
  hub_->close();
  EXPECT_THAT(failureOf(member()).message, HasSubstr("the control connection of rank 0: closed by the peer"));
}

TEST_F(FakeHubTest, RosterOfAnotherNumberOfRanksIsAnError) {
  EXPECT_THAT(failureAfter(MessageType::kRoster, encode(exampleRoster(3))).message,
              HasSubstr("it names another number of ranks"));
}

TEST_F(FakeHubTest, AddressesBeforeTheRosterAreAnError) {
  EXPECT_THAT(failureAfter(MessageType::kGathered, encode(addresses())).message,
              HasSubstr("it comes before the roster"));
}

TEST_F(FakeHubTest, PartsOfAnotherNumberOfRanksAreAnError) {
  EXPECT_THAT(failureAfter(MessageType::kGathered, encode(GatheredMessage{kAddressGathering, {"one"}})).message,
              HasSubstr("it has parts of another number of ranks"));
}

TEST_F(FakeHubTest, MessageThatOnlyARankSendsIsAnError) {
  EXPECT_THAT(failureAfter(MessageType::kHello, encode(exampleHello())).message,
              HasSubstr("its type is none that a hub sends"));
}

TEST_F(FakeHubTest, FailureOfTheHubIsThatOfTheRank) {
  EXPECT_EQ(failureAfter(MessageType::kFailure, encode(exampleFailure())),
            (Caught{exampleFailure().code, exampleFailure().message}));
}

TEST_F(FakeHubTest, SilentHubIsAnErrorAfterTheDeadline) {
  join();
  EXPECT_EQ(failureOf(member(), 10ms),
            (Caught{signcclTimeout, "rank 0 timed out waiting for an answer of the process at " +
                                        toText(listener_.address()) + ", where the ranks meet"}));
}

TEST_F(FakeHubTest, SecondRosterIsAnError) {
  EXPECT_THAT(failureWhenReady(MessageType::kRoster, encode(exampleRoster(2))),
              HasSubstr("the roster comes a second time"));
  EXPECT_EQ(member()->ranks().size(), 2U);
}

TEST_F(FakeHubTest, SecondAddressesAreAnError) {
  EXPECT_THAT(failureWhenReady(MessageType::kGathered, encode(addresses())),
              HasSubstr("the addresses come a second time"));
}

TEST_F(FakeHubTest, RankOutOfRangeThatLeftIsAnError) {
  for (const Rank rank : {-1, 2, 1 << 30}) {
    EXPECT_THAT(failureWhenReady(MessageType::kLeft, encode(LeftMessage{rank, 0})),
                HasSubstr("a rank is out of range"));
    hub_.reset();
    member_.reset();
  }
}

TEST_F(FakeHubTest, HubThatGoesIsNamedByTheRankInWhoseProcessItWas) {
  makeReady();
  hub_->close();
  EXPECT_TRUE(eventually([&] { return member()->failed(); }));
  EXPECT_EQ(member()->failure().message,
            "rank 0, in whose process the ranks meet, died or cannot be reached: "
            "the control connection of rank 0: closed by the peer");
}

TEST_F(FakeHubTest, RanksOfTheProcessOfAHubThatGoesAreGone) {
  makeReady();
  hub_->close();
  EXPECT_TRUE(eventually([&] { return member()->failed(); }));
  EXPECT_EQ(member()->failure().gone, (std::vector<Rank>{0}));
  EXPECT_EQ(member()->failure().scope, Failure::Scope::kGroup);
}

TEST_F(FakeHubTest, FailureOfAnotherGroupOfRanksNamesNobodyOfThisOne) {
  join();
  hub_->send(MessageType::kFailure, encode(Failure{signcclTimeout, "late", Failure::Scope::kGroup, {0, 2}}));
  EXPECT_EQ(failureOf(member()).message, "late");
  EXPECT_TRUE(member()->failure().gone.empty()) << "rank 2 is none of the two";
}

TEST_F(FakeHubTest, HubThatGoesAfterItsRanksLeftIsNoFailure) {
  makeReady();
  hub_->send(MessageType::kLeft, encode(LeftMessage{0, 0}));
  hub_->close();
  EXPECT_TRUE(eventually([&] { return member()->allLeft(); }));
  EXPECT_FALSE(member()->failed());
}

TEST_F(FakeHubTest, FailureIsToldOnceTheHubHasToldItToAll) {
  makeReady();
  std::atomic<bool> is_confirmed = false;
  std::thread failing([&] {
    member()->fail(exampleFailure());
    member()->awaitTold();
    EXPECT_TRUE(is_confirmed) << "the program could have ended before the hub knew";
  });
  EXPECT_EQ(hub_->receiveMessage(), (SentFrame{MessageType::kFailure, encode(exampleFailure())}));
  is_confirmed = true;
  hub_->send(MessageType::kFailure, encode(exampleFailure()));
  failing.join();
}

TEST_F(FakeHubTest, HubThatDoesNotConfirmAFailureIsNotWaitedForForEver) {
  makeReady();
  member()->fail(exampleFailure());
  member()->awaitTold();
}

TEST_F(FakeHubTest, HubThatDoesNotAnswerAQueryLeavesItsOwnRanksMissing) {
  makeReady();
  EXPECT_EQ(member()->missing(0), (std::vector<Rank>{0}));
}

class MemberTest : public HubTest {};

TEST_F(MemberTest, NobodyAtTheMeetingPointIsAnErrorWithItsAddress) {
  asio::ip::tcp::endpoint nobody;
  {
    nobody = RawListener().address();
  }
  const JobRank member(MeetingPoint{nobody, kExampleSecret}, 0, 2);
  const Caught error = failureOf(member);
  EXPECT_EQ(error.code, signcclRemoteError);
  EXPECT_THAT(error.message, HasSubstr("rank 0 found no process at " + toText(nobody)));
}

TEST_F(MemberTest, RankThatMayBeEarlyWaitsForItsHub) {
  asio::ip::tcp::endpoint address;
  {
    address = RawListener().address();
  }
  std::vector<JobRank> ranks;
  for (const Rank rank : {0, 1}) {
    MemberOptions options = memberOptions({address, kExampleSecret}, rank, 2);
    options.may_be_early = true;
    ranks.emplace_back(options);
  }
  EXPECT_EQ(isLogged("tries again"), true);
  Hub::open(address, kExampleSecret);
  expectReady(ranks, 2);
}

TEST_F(MemberTest, RankThatMayBeEarlyStillHasADeadline) {
  asio::ip::tcp::endpoint nobody;
  {
    nobody = RawListener().address();
  }
  MemberOptions options = memberOptions({nobody, kExampleSecret}, 1, 2);
  options.may_be_early = true;
  EXPECT_EQ(failureOf(JobRank(options), 10ms).code, signcclTimeout);
}

TEST_F(MemberTest, RankThatFailsBeforeItsHubIsThereTellsItsCause) {
  asio::ip::tcp::endpoint address;
  {
    address = RawListener().address();
  }
  MemberOptions options = memberOptions({address, kExampleSecret}, 1, 2);
  options.may_be_early = true;
  const JobRank early(options);
  early->fail({signcclSystemError, "rank 1: no device"});
  Hub::open(address, kExampleSecret);
  const JobRank other({address, kExampleSecret}, 0, 2);
  EXPECT_EQ(failureOf(other).message, "rank 1: no device");
}

TEST_F(MemberTest, DeadlineNamesTheMissingRanksOnEveryRank) {
  const MeetingPoint point = openHub();
  const JobRank first(point, 1, 4);
  const JobRank second(point, 2, 4);
  EXPECT_TRUE(eventually([&] { return read("log").find("2 of 4 are there") != std::string::npos; }));
  const Caught expected{signcclTimeout,
                        "rank 1 timed out waiting for ranks 0 and 3 of 4 to join (not started, or with another unique "
                        "id or SIGNCCL_COMM_ID?)"};
  EXPECT_EQ(failureOf(first, 10ms), expected);
  EXPECT_EQ(failureOf(second), expected);
}

TEST_F(MemberTest, RankWithoutAnAddressFailsAll) {
  const MeetingPoint point = openHub();
  MemberOptions options = memberOptions(point, 0, 2);
  options.on_address_wanted = [](Member& member) { member.fail({signcclSystemError, "rank 0: no device"}); };
  const JobRank first(options);
  const JobRank second(point, 1, 2);
  const Caught expected{signcclSystemError, "rank 0: no device"};
  EXPECT_EQ(failureOf(first), expected);
  EXPECT_EQ(failureOf(second), expected);
}

TEST_F(MemberTest, RanksOfOneProcessNeedNoAddresses) {
  const MeetingPoint point = openHub();
  std::vector<JobRank> ranks;
  for (const Rank rank : {0, 1}) {
    MemberOptions options = memberOptions(point, rank, 2);
    options.info.process = 5;
    options.on_address_wanted = [](Member&) { FAIL() << "nobody needs an address"; };
    ranks.emplace_back(options);
  }
  for (const JobRank& rank : ranks) {
    rank->awaitReady(in(kPatience));
    EXPECT_TRUE(rank->inOneProcess());
  }
}

}  // namespace
}  // namespace signccl
