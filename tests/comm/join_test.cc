// SPDX-License-Identifier: Apache-2.0
#include "comm/join.h"

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/job.h"
#include "support/caught.h"
#include "support/rank_threads.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;

const SharedSettings kSettings = {{"SIGNCCL_ALGO", "ring"}, {"SIGNCCL_SLICE_BYTES", "64"}};

MeetingPoint newPoint() { return openHub({})->meetingPoint(); }

JoinOptions options(const MeetingPoint& point, int nranks, Rank rank, const SharedSettings& settings = kSettings) {
  JoinOptions result;
  result.point = point;
  result.nranks = nranks;
  result.rank = rank;
  result.settings = settings;
  return result;
}

/// Joins and waits for the others.
Caught joinFully(const JoinOptions& options) {
  return caught([&] { Joining(options).finish(in(2min)); });
}

TEST(JoinTest, RanksOfOneProcessGetALoopbackGroup) {
  const MeetingPoint point = newPoint();
  runAsRanks(4, [&](Rank rank) {
    const auto group = Joining(options(point, 4, rank)).finish(in(2min));
    EXPECT_EQ(group->rank(), rank);
    EXPECT_EQ(group->topology().nranks(), 4);
    EXPECT_EQ(group->topology().nnodes(), 1);
    EXPECT_EQ(group->coreShare().ranks, 4);
    EXPECT_FALSE(group->failed());
  });
}

TEST(JoinTest, GroupsOfDifferentHubsDoNotMix) {
  const MeetingPoint points[] = {newPoint(), newPoint()};
  Joining first(options(points[0], 2, 0));
  const Joining second(options(points[1], 2, 1));
  EXPECT_EQ(caught([&] { first.finish(in(100ms)); }).code, signcclTimeout);
}

TEST(JoinTest, RanksPerNodeDivideTheRanksIntoNodes) {
  const MeetingPoint point = newPoint();
  runAsRanks(5, [&](Rank rank) {
    JoinOptions mine = options(point, 5, rank);
    mine.ranks_per_node = 2;
    EXPECT_EQ(Joining(mine).finish(in(2min))->topology().nnodes(), 3);
  });
}

TEST(JoinTest, RankThatIsTakenIsRefusedAndTheOthersGoOn) {
  const MeetingPoint point = newPoint();
  Joining first(options(point, 2, 0));
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(joinFully(options(point, 2, 0)),
            (Caught{signcclInvalidUsage, "rank 0 has joined this communicator already"}));
  Joining second(options(point, 2, 1));
  EXPECT_EQ(first.finish(in(2min))->rank(), 0);
  EXPECT_EQ(second.finish(in(2min))->rank(), 1);
}

TEST(JoinTest, RankOutOfRangeIsRefusedAndTheOthersGoOn) {
  const MeetingPoint point = newPoint();
  EXPECT_EQ(joinFully(options(point, 2, 2)),
            (Caught{signcclInvalidUsage, "rank 2 is out of range for a communicator of 2 ranks, expected 0 to 1"}));
  runAsRanks(2, [&](Rank rank) { EXPECT_EQ(Joining(options(point, 2, rank)).finish(in(2min))->rank(), rank); });
}

TEST(JoinTest, WrongSecretIsDroppedAndTheOthersGoOn) {
  const MeetingPoint point = newPoint();
  MeetingPoint guessed = point;
  guessed.secret[0] ^= 1;
  EXPECT_EQ(joinFully(options(guessed, 2, 0)).code, signcclRemoteError);
  runAsRanks(2, [&](Rank rank) { EXPECT_EQ(Joining(options(point, 2, rank)).finish(in(2min))->rank(), rank); });
}

TEST(JoinTest, DifferentNumbersOfRanksFailOnEveryRank) {
  const MeetingPoint point = newPoint();
  Joining first(options(point, 3, 0));
  std::this_thread::sleep_for(200ms);
  const Caught expected{signcclInvalidUsage, "rank 1 joins a communicator of 4 ranks, an earlier rank one of 3"};
  EXPECT_EQ(joinFully(options(point, 4, 1)), expected);
  EXPECT_EQ(caught([&] { first.finish(in(2min)); }), expected);
  EXPECT_EQ(joinFully(options(point, 3, 2)), expected) << "too late";
}

TEST(JoinTest, DifferentSettingsFailOnEveryRankWithBothValues) {
  const MeetingPoint point = newPoint();
  Joining first(options(point, 2, 1));
  std::this_thread::sleep_for(200ms);
  SharedSettings other = kSettings;
  other[1].second = "128";
  const Caught expected{signcclInvalidUsage,
                        "the ranks have different settings: SIGNCCL_SLICE_BYTES is 64 on rank 1 and 128 on rank 0"};
  EXPECT_EQ(joinFully(options(point, 2, 0, other)), expected);
  EXPECT_EQ(caught([&] { first.finish(in(2min)); }), expected);
}

TEST(JoinTest, DeadlineNamesTheMissingRanksOnEveryRank) {
  const MeetingPoint point = newPoint();
  Joining first(options(point, 4, 1));
  Joining second(options(point, 4, 2));
  std::this_thread::sleep_for(200ms);
  const Caught expected{signcclTimeout,
                        "rank 1 timed out waiting for ranks 0 and 3 of 4 to join (not started, or with another unique "
                        "id or SIGNCCL_COMM_ID?)"};
  EXPECT_EQ(caught([&] { first.finish(in(10ms)); }), expected);
  EXPECT_EQ(caught([&] { second.finish(in(2min)); }), expected);
  EXPECT_EQ(joinFully(options(point, 4, 0)), expected) << "too late";
}

TEST(JoinTest, NobodyAtTheMeetingPointIsAnError) {
  const std::shared_ptr<Hub> hub = openHub({});
  const MeetingPoint point = hub->meetingPoint();
  hub->close();
  const Caught refused = joinFully(options(point, 2, 0));
  EXPECT_EQ(refused.code, signcclRemoteError);
  EXPECT_THAT(refused.message, testing::HasSubstr("found no process at"));
}

TEST(JoinTest, OtherGroupsAreJoinedWhileATransportIsMade) {
  const MeetingPoint point = newPoint();
  std::promise<void> making;
  std::promise<void> may_end;
  JoinOptions slow = options(point, 2, 0);
  slow.make_transport = [&](const ProcessTransportOptions&, Rank, int) -> std::unique_ptr<ProcessTransport> {
    making.set_value();
    may_end.get_future().wait_for(kPatience);
    throw Error(signcclSystemError, "no device");
  };
  Joining first(slow);
  const JobRank second(point, 1, 2);
  ASSERT_EQ(making.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(caught([&] { Joining(options(newPoint(), 1, 0)).finish(in(30s)); }), Caught{});
  may_end.set_value();
  EXPECT_EQ(caught([&] { first.finish(in(2min)); }), (Caught{signcclSystemError, "rank 0: no device"}));
}

TEST(JoinTest, JoiningThatIsGivenUpWaitsForItsTransport) {
  const MeetingPoint point = newPoint();
  std::promise<void> making;
  std::atomic<bool> is_made = false;
  JoinOptions slow = options(point, 2, 0);
  slow.make_transport = [&](const ProcessTransportOptions&, Rank, int) -> std::unique_ptr<ProcessTransport> {
    making.set_value();
    std::this_thread::sleep_for(50ms);
    is_made = true;
    throw Error(signcclSystemError, "no device");
  };
  const JobRank second(point, 1, 2);
  {
    const Joining first(slow);
    ASSERT_EQ(making.get_future().wait_for(kPatience), std::future_status::ready);
  }
  EXPECT_TRUE(is_made);
}

TEST(JoinTest, DevicesOfUcxNameEachInterfaceOnce) {
  const std::vector<NetworkInterface> interfaces = {{"eth0", {}, 0}, {"eth1", {}, 0}, {"eth0", {}, 0}};
  EXPECT_THAT(ucxDevices(interfaces), testing::StartsWith("eth0,eth1"));
  EXPECT_THAT(ucxDevices(interfaces), testing::Not(testing::HasSubstr("eth1,eth0")));
}

TEST(JoinTest, ManyThreadsMayJoinManyGroups) {
  constexpr int kGroups = 20;
  std::vector<MeetingPoint> points(kGroups);
  for (MeetingPoint& point : points) point = newPoint();
  runAsRanks(4, [&](Rank rank) {
    for (const MeetingPoint& point : points) Joining(options(point, 4, rank)).finish(in(2min));
  });
}

}  // namespace
}  // namespace signccl
