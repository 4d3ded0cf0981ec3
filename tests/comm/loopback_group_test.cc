// SPDX-License-Identifier: Apache-2.0
#include "comm/loopback_group.h"

#include <optional>
#include <string>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "support/caught.h"
#include "support/rank_threads.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;

Deadline in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

const SharedSettings kSettings = {{"SIGNCCL_ALGO", "ring"}, {"SIGNCCL_SLICE_BYTES", "64"}};

TEST(FailTest, OnlyTheFirstFailureCounts) {
  const auto groups = LoopbackGroup::makeAll(2, 0);
  EXPECT_FALSE(groups[0]->failed());
  groups[0]->fail({signcclTimeout, "first"});
  groups[1]->fail({signcclRemoteError, "second"});
  for (const auto& group : groups) {
    EXPECT_TRUE(group->failed());
    EXPECT_EQ(group->failure().code, signcclTimeout);
    EXPECT_EQ(group->failure().message, "first");
  }
}

TEST(FailTest, FailureWakesEveryRank) {
  const auto groups = LoopbackGroup::makeAll(3, 0);
  std::vector<std::unique_ptr<Transport>> transports;
  for (const auto& group : groups) transports.push_back(group->makeTransport());
  std::jthread failing([&] { groups[2]->fail({signcclRemoteError, "gone"}); });
  runAsRanks(3, [&](Rank rank) {
    transports[static_cast<std::size_t>(rank)]->wait(std::chrono::hours(1));
    EXPECT_TRUE(groups[static_cast<std::size_t>(rank)]->failed());
  });
}

TEST(FailTest, FailureEndsTheWaitForASplit) {
  const auto splitting = LoopbackGroup::makeAll(2, 0);
  splitting[0]->postSplit(0, 0, kSettings);
  std::jthread failing([&] { splitting[1]->fail({signcclRemoteError, "no"}); });
  EXPECT_EQ(caught([&] { splitting[0]->awaitSplit(in(2min)); }), (Caught{signcclRemoteError, "no"}));
}

TEST(FailTest, EachCauseNamesTheRanksThatAreGone) {
  const auto late = LoopbackGroup::makeAll(3, 0);
  late[1]->postSplit(0, 0, kSettings);
  EXPECT_EQ(caught([&] { late[1]->awaitSplit(in(1ms)); }).code, signcclTimeout);
  EXPECT_EQ(late[0]->failure().gone, (std::vector<Rank>{0, 2}));

  const auto left = LoopbackGroup::makeAll(3, 0);
  left[1]->begin(0, {.calls = {{5}}}, false);
  left[2]->leave();
  EXPECT_EQ(left[0]->failure().gone, (std::vector<Rank>{2}));
  EXPECT_EQ(left[0]->failure().scope, Failure::Scope::kGroup);

  const auto disagreeing = LoopbackGroup::makeAll(2, 0);
  disagreeing[1]->begin(0, {.calls = {{5}}}, false);
  EXPECT_EQ(caught([&] { disagreeing[0]->begin(0, {.calls = {{6}}}, false); }).code, signcclInvalidUsage);
  EXPECT_TRUE(disagreeing[1]->failure().gone.empty());
  EXPECT_EQ(disagreeing[1]->failure().scope, Failure::Scope::kExchange);
}

TEST(AnnounceTest, DisagreementFailsTheGroup) {
  const auto groups = LoopbackGroup::makeAll(2, 0);
  groups[1]->begin(0, {.calls = {{5}}}, false);
  EXPECT_FALSE(groups[1]->allAnnounced(0));
  EXPECT_EQ(groups[1]->notAnnounced(0), std::vector<Rank>{0});
  const Caught expected{signcclInvalidUsage,
                        "the ranks disagree in exchange number 0: count is 5 on rank 1 and 6 on rank 0 (a rank may "
                        "have left out or repeated a call)"};
  EXPECT_EQ(caught([&] { groups[0]->begin(0, {.calls = {{6}}}, false); }), expected);
  EXPECT_EQ(groups[1]->failure().message, expected.message);
}

TEST(AnnounceTest, ExchangeThatEveryRankAnnouncedAlikeIsComplete) {
  const auto groups = LoopbackGroup::makeAll(2, 0);
  for (const auto& group : groups) group->begin(0, {.calls = {{5}}}, false);
  EXPECT_TRUE(groups[0]->allAnnounced(0));
  EXPECT_TRUE(groups[1]->notAnnounced(0).empty());
}

TEST(LeaveGroupTest, LeavingFailsTheGroupOnlyIfOthersWait) {
  const auto idle = LoopbackGroup::makeAll(2, 0);
  idle[0]->leave();
  EXPECT_FALSE(idle[1]->failed());
  const auto busy = LoopbackGroup::makeAll(2, 0);
  busy[1]->begin(0, {}, false);
  busy[0]->leave();
  EXPECT_EQ(busy[1]->failure().code, signcclRemoteError);
}

/// What a rank says in a split.
struct Choice {
  int color;
  int key;
};

/// The new places, by old rank.
std::vector<std::unique_ptr<Group>> split(const std::vector<std::unique_ptr<LoopbackGroup>>& groups,
                                          const std::vector<Choice>& choices) {
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i]->postSplit(choices[i].color, choices[i].key, kSettings);
  std::vector<std::unique_ptr<Group>> parts;
  for (const auto& group : groups) parts.push_back(group->awaitSplit(in(2min)));
  return parts;
}

/// New ranks by old rank, -1 for none.
std::vector<Rank> newRanks(const std::vector<std::unique_ptr<Group>>& parts) {
  std::vector<Rank> ranks;
  for (const auto& part : parts) ranks.push_back(part ? part->rank() : -1);
  return ranks;
}

TEST(SplitTest, RanksOfAColorAreOrderedByKeyAndThenByOldRank) {
  const auto groups = LoopbackGroup::makeAll(6, 0);
  const auto parts = split(groups, {{1, 5}, {0, 0}, {1, -3}, {1, 5}, {0, -1}, {9, 0}});
  EXPECT_EQ(newRanks(parts), (std::vector<Rank>{1, 1, 0, 2, 0, 0}));
  EXPECT_EQ(parts[0]->topology().nranks(), 3);
  EXPECT_EQ(parts[1]->topology().nranks(), 2);
  EXPECT_EQ(parts[5]->topology().nranks(), 1);
}

TEST(SplitTest, RanksWithoutColorAreInNoGroup) {
  const auto groups = LoopbackGroup::makeAll(3, 0);
  EXPECT_EQ(newRanks(split(groups, {{-1, 0}, {4, 0}, {-1, 0}})), (std::vector<Rank>{-1, 0, -1}));
  EXPECT_EQ(newRanks(split(groups, {{-1, 0}, {-1, 0}, {-1, 0}})), (std::vector<Rank>{-1, -1, -1}));
}

TEST(SplitTest, NodesOfRanksStayWhatTheyWere) {
  const auto groups = LoopbackGroup::makeAll(6, /*ranks_per_node=*/2);
  const auto parts = split(groups, {{0, 0}, {0, 0}, {1, 0}, {0, 0}, {1, 0}, {0, 0}});
  const Topology& topology = parts[0]->topology();  // old ranks 0, 1, 3, 5 on nodes 0, 0, 1, 2
  EXPECT_EQ(topology.nnodes(), 3);
  EXPECT_EQ(topology.ranksOf(0), (std::vector<Rank>{0, 1}));
  EXPECT_EQ(parts[2]->topology().nnodes(), 2);
}

TEST(SplitTest, NewGroupsExchangeAndFailOnTheirOwn) {
  const auto groups = LoopbackGroup::makeAll(4, 0);
  const auto parts = split(groups, {{0, 0}, {0, 0}, {1, 0}, {1, 0}});
  for (const auto& part : parts) part->begin(0, {.calls = {{part->rank() < 2 ? 5U : 6U}}}, false);
  EXPECT_TRUE(parts[0]->allAnnounced(0));
  parts[0]->fail({signcclRemoteError, "gone"});
  EXPECT_TRUE(parts[1]->failed());
  EXPECT_FALSE(parts[2]->failed());
  EXPECT_FALSE(groups[0]->failed());
}

TEST(SplitTest, SplitsBelongTogetherByTheirNumber) {
  const auto groups = LoopbackGroup::makeAll(2, 0);
  runAsRanks(2, [&](Rank rank) {
    for (int round = 0; round < 50; ++round) {
      const auto& group = groups[static_cast<std::size_t>(rank)];
      group->postSplit(round % 3 == 0 ? rank : 0, -rank, kSettings);
      const auto part = group->awaitSplit(in(2min));
      EXPECT_EQ(part->topology().nranks(), round % 3 == 0 ? 1 : 2);
      EXPECT_EQ(part->rank(), round % 3 == 0 ? 0 : 1 - rank);
    }
  });
}

TEST(SplitTest, DifferentSettingsInAColorFailOnEveryRank) {
  const auto groups = LoopbackGroup::makeAll(3, 0);
  const SharedSettings other = {{"SIGNCCL_ALGO", "direct"}, {"SIGNCCL_SLICE_BYTES", "64"}};
  groups[2]->postSplit(0, 0, kSettings);
  const Caught expected{signcclInvalidUsage,
                        "the ranks have different settings: SIGNCCL_ALGO is ring on rank 2 and direct on rank 0"};
  EXPECT_EQ(caught([&] { groups[0]->postSplit(0, 0, other); }), expected);
  EXPECT_EQ(caught([&] { groups[2]->awaitSplit(in(2min)); }), expected);
  EXPECT_EQ(caught([&] { groups[1]->postSplit(0, 0, kSettings); }), expected);
}

TEST(SplitTest, ColorsMayHaveDifferentSettings) {
  const auto groups = LoopbackGroup::makeAll(4, 0);
  const SharedSettings other = {{"SIGNCCL_ALGO", "direct"}, {"SIGNCCL_SLICE_BYTES", "64"}};
  groups[0]->postSplit(0, 0, kSettings);
  groups[1]->postSplit(1, 0, other);
  groups[2]->postSplit(-1, 0, kSettings);
  groups[3]->postSplit(-1, 0, other);
  for (const auto& group : groups) group->awaitSplit(in(2min));
}

TEST(SplitTest, DeadlineNamesTheRanksThatDidNotSplit) {
  const auto groups = LoopbackGroup::makeAll(4, 0);
  groups[3]->postSplit(0, 0, kSettings);
  groups[1]->postSplit(0, 0, kSettings);
  const Caught expected{signcclTimeout, "rank 3 timed out waiting for ranks 0 and 2 to split the communicator"};
  EXPECT_EQ(caught([&] { groups[3]->awaitSplit(in(10ms)); }), expected);
  EXPECT_EQ(caught([&] { groups[1]->awaitSplit(in(2min)); }), expected);
}

TEST(SplitTest, SplitThatARankLeavesFailsAtOnce) {
  const auto groups = LoopbackGroup::makeAll(3, 0);
  groups[1]->postSplit(0, 0, kSettings);
  groups[2]->leave();
  EXPECT_EQ(caught([&] { groups[1]->awaitSplit(in(2min)); }),
            (Caught{signcclRemoteError,
                    "rank 2 destroyed its communicator and takes no part in the split that rank 1 has called"}));
}

TEST(SplitTest, SplitAfterARankHasLeftFailsAtOnce) {
  const auto groups = LoopbackGroup::makeAll(3, 0);
  groups[2]->leave();
  EXPECT_EQ(caught([&] { groups[0]->postSplit(0, 0, kSettings); }),
            (Caught{signcclRemoteError,
                    "rank 2 destroyed its communicator and takes no part in the split that rank 0 has called"}));
}

TEST(SplitTest, RankMayLeaveWhenItHasItsPartWhileOthersStillFetchTheirs) {
  const auto groups = LoopbackGroup::makeAll(2, 0);
  for (const auto& group : groups) group->postSplit(0, 0, kSettings);
  const auto first = groups[0]->awaitSplit(in(2min));
  groups[0]->leave();
  const auto second = groups[1]->awaitSplit(in(2min));
  EXPECT_EQ(second->rank(), 1);
}

}  // namespace
}  // namespace signccl
