// SPDX-License-Identifier: Apache-2.0
// What goes wrong in calls: bad rules, ranks that do not come, aborts, and who learns of it. same_rules_test.cc has
// what ranks find out before.
#include <atomic>
#include <chrono>
#include <latch>
#include <thread>

#include "interposer_job.h"

namespace signccl::nccl_preload {
namespace {

using std::chrono::steady_clock;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(InterposerTest, BadRulesStopTheJobAtItsFirstAllReduceWithThePlace) {
  const auto interposer = makeInterposer(R"({"version": 1, "rules": [{"match": {"typ": "int8"}, "action": "vote"}]})");
  asRanks(1, *interposer, [](int /*rank*/, Member& member) {
    EXPECT_EQ(member.allReduce(1), Result::kInvalidUsage);
    EXPECT_THAT(member.lastError(), HasSubstr("/rules/0/match/typ"));
  });
  EXPECT_EQ(fake_nccl::allReduces(), 0);
}

TEST_F(InterposerTest, AModeThatIsNoneStopsTheJobToo) {
  const auto interposer = makeInterposer(kVotes, "maybe");
  asRanks(1, *interposer, [](int /*rank*/, Member& member) {
    EXPECT_EQ(member.allReduce(1), Result::kInvalidUsage);
    EXPECT_THAT(member.lastError(), AllOf(HasSubstr("SIGNCCL_INTERPOSE"), HasSubstr("maybe")));
  });
}

TEST_F(InterposerTest, AnAbortEndsTheWaitForRanksThatDoNotCome) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(2, *interposer, [](int rank, Member& member) {
    if (rank == 0) {
      const Comm comm = std::exchange(member.comm, nullptr);
      std::jthread watchdog([&member, comm] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        EXPECT_EQ(member().abort(comm), Result::kSuccess);
      });
      AllReduce call = member.call();
      call.comm = comm;
      EXPECT_NE(member().allReduce(call), Result::kSuccess);
    }
  });
}

TEST_F(InterposerTest, AnAbortFromAnotherThreadDrainsTheStreamOfATakenCall) {
  const auto interposer = makeInterposer(kVotes);
  std::atomic<bool> is_over = false;
  std::latch calls(2);
  asRanks(2, *interposer, [&](int rank, Member& member) {
    EXPECT_EQ(member.allReduceOf(1.F), Result::kSuccess) << member.lastError();
    EXPECT_EQ(member.get(), 1);
    calls.arrive_and_wait();
    if (rank == 0) {
      const Comm comm = std::exchange(member.comm, nullptr);
      std::jthread watchdog([&member, comm] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        EXPECT_EQ(member().abort(comm), Result::kSuccess);
      });
      AllReduce call = member.call();
      call.comm = comm;
      // Threads of one process wait for each other before they enqueue, so the call may fail, or be enqueued and end.
      (void)member().allReduce(call);
      cuStreamSynchronize(member.work().get());
      is_over = true;
    } else {
      while (!is_over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
}

TEST_F(InterposerTest, AFailureOfSigncclIsSeenByTheWatchdog) {
  const auto interposer = makeInterposer(kVotes);
  std::latch calls(2);  // an abort would end a call that the other rank is still in
  asRanks(2, *interposer, [&](int rank, Member& member) {
    EXPECT_EQ(member.allReduceOf(1.F), Result::kSuccess) << member.lastError();
    EXPECT_EQ(member.get(), 1);
    calls.arrive_and_wait();
    if (rank == 1) {
      ASSERT_EQ(member().abort(std::exchange(member.comm, nullptr)), Result::kSuccess);
      return;
    }
    Result state = Result::kSuccess;
    const auto limit = steady_clock::now() + std::chrono::seconds(20);
    while (state == Result::kSuccess && steady_clock::now() < limit) {
      ASSERT_EQ(member().getAsyncError(member.comm, &state), Result::kSuccess);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(state, Result::kRemoteError);
  });
}

TEST_F(InterposerTest, AnErrorOfNcclComesBeforeOneOfSignccl) {
  const auto votes = makeInterposer(kVotes);
  const auto means = makeInterposer(kMeans);
  asRanks(
      {votes.get(), means.get()},
      [](int rank, Member& member) {
        EXPECT_EQ(member.allReduceOf(1.F), Result::kInvalidUsage);
        if (rank != 0) return;
        fake_nccl::failRank(0, NcclResult::kInternalError);
        Result state = Result::kSuccess;
        EXPECT_EQ(member().getAsyncError(member.comm, &state), Result::kSuccess);
        EXPECT_EQ(state, Result::kInternalError);
      },
      withoutBlocking());
}

TEST_F(InterposerTest, ACallOfTheDriverThatFailsIsNamed) {
  const auto interposer = makeInterposer(kVotes);
  asRanks(1, *interposer, [](int /*rank*/, Member& member) {
    member.put(1.F);
    fake_cuda::failCallsOf("cuMemHostAlloc", CudaResult::kOutOfMemory);
    EXPECT_EQ(member.allReduce(), Result::kUnhandledCudaError);
    EXPECT_THAT(member.lastError(), HasSubstr("cuMemHostAlloc failed: CUDA_ERROR_OUT_OF_MEMORY"));
  });
}

}  // namespace
}  // namespace signccl::nccl_preload
