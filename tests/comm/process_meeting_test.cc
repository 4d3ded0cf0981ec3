// SPDX-License-Identifier: Apache-2.0
#include "comm/process_meeting.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "failing_ranks.h"

namespace signccl {
namespace {

Secret secretOf(unsigned char byte) {
  Secret secret{};
  secret.fill(byte);
  return secret;
}

TEST(ProcessMeetingTest, AllHaveArrivedOnceTheLastHas) {
  ProcessMeeting meeting(3);
  meeting.arrive(0, 0);
  meeting.arrive(2, 5);
  EXPECT_FALSE(meeting.haveAllArrived(0));
  meeting.arrive(1, 0);
  EXPECT_TRUE(meeting.haveAllArrived(0));
  EXPECT_FALSE(meeting.haveAllArrived(1));
}

TEST(ProcessMeetingTest, RanksOfAGroupShareOneAndOthersHaveTheirOwn) {
  const auto first = ProcessMeeting::of(secretOf(1), 2);
  EXPECT_EQ(ProcessMeeting::of(secretOf(1), 2), first);
  EXPECT_NE(ProcessMeeting::of(secretOf(2), 2), first);
}

TEST(ProcessMeetingTest, AMeetingThatAllHaveLeftIsForgotten) {
  ProcessMeeting::of(secretOf(3), 1)->arrive(0, 7);
  EXPECT_FALSE(ProcessMeeting::of(secretOf(3), 1)->haveAllArrived(0));
}

TEST(ProcessMeetingTest, ARankAloneInItsProcessWaitsForNobody) {
  CommRanks ranks(1);
  ranks[0].awaitRanksOfProcess(1'000'000);
}

TEST(ProcessMeetingTest, ARankWaitsForTheCallsOfTheOthers) {
  Call call({1});  // lives longer than the communicator whose thread reads it
  CommRanks ranks(2);
  std::atomic<bool> came_back = false;
  ranks[0].arrive(0);
  std::jthread waiting([&] {
    ranks[0].awaitRanksOfProcess(0);
    came_back = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(came_back);
  call.submit(ranks[1], {}, /*in_background=*/true);
  waiting.join();
  EXPECT_TRUE(came_back);
  ranks[1].abort();
}

TEST(ProcessMeetingTest, TheWaitEndsAtTheDeadlineAndWithAFailure) {
  CommRanks ranks(2, optionsWith(Algorithm::kDirect, std::chrono::milliseconds(50)));
  ranks[0].arrive(0);
  EXPECT_EQ(caught([&] { ranks[0].awaitRanksOfProcess(0); }),
            (Caught{signcclTimeout,
                    "rank 0 waited 50 ms for the other ranks of its process to make the call of exchange number 0"}));
  ranks[1].abort("the test ends");
  EXPECT_EQ(caught([&] { ranks[0].awaitRanksOfProcess(0); }),
            (Caught{signcclRemoteError, "rank 1 aborted the communicator: the test ends"}));
}

}  // namespace
}  // namespace signccl
