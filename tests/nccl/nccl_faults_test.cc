// SPDX-License-Identifier: Apache-2.0
// What goes wrong in calls over NCCL: every stream drains in time, no output is garbage, and everybody learns why.
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "nccl_job.h"
#include "support/sanitizers.h"
#include "voter.h"

namespace signccl {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class NcclFaultsTest : public NcclTest {
 protected:
  const Environment environment_{{"SIGNCCL_TIMEOUT", "1"}};
};

void expectFailed(signcclComm_t comm, signcclResult_t code, const std::string& text) {
  signcclResult_t state = signcclSuccess;
  EXPECT_EQ(signcclCommGetAsyncError(comm, &state), signcclSuccess);
  EXPECT_EQ(state, code);
  EXPECT_THAT(signcclGetLastError(comm), HasSubstr(text));
}

/// A voter whose rank, as all the others, has NCCL's communicator.
class ReadyVoter : public Voter {
 public:
  ReadyVoter(int rank, signcclComm_t comm) : Voter(rank, -1) {
    EXPECT_EQ(vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
    EXPECT_TRUE(hasResult(-1));
    clear();
    meet(comm);
  }
};

TEST_F(NcclFaultsTest, APeerThatNeverCallsIsNamedAtTheDeadline) {
  Ranks ranks(2);
  Voter voter(0, -1);
  EXPECT_EQ(voter.vote(ranks[0]), signcclTimeout);
  EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("rank 0 waited 1000 ms for rank 1 in exchange number 0"));
  EXPECT_TRUE(voter.isUntouched());
}

TEST_F(NcclFaultsTest, APeerThatNeverCallsFailsARankWhoseStreamIsBusy) {
  Ranks ranks(2);
  Ranks other(1);
  ReadyVoter voter(0, other[0]);  // the first call of a device loads kernels, and may wait for streams
  std::atomic<bool> may_go_on = false;
  voter.holdStream(may_go_on);
  EXPECT_EQ(voter.vote(ranks[0]), signcclTimeout);
  EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("rank 1"));
  may_go_on = true;
  EXPECT_TRUE(voter.isUntouched());
}

TEST_F(NcclFaultsTest, StreamsDrainAtTheDeadlineWhenAPeerMakesNoFurtherCall) {
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    ReadyVoter voter(rank, comm);
    if (rank == 2) return;
    ASSERT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
    EXPECT_TRUE(voter.isUntouched());
    expectFailed(comm, signcclTimeout, "ms for rank 2 in exchange number 1");
  });
}

TEST_F(NcclFaultsTest, AbortDrainsTheStreamsOfAllRanks) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "60"}};
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    ReadyVoter voter(rank, comm);
    if (rank == 2) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
      return;
    }
    EXPECT_THAT(voter.vote(comm), AnyOf(signcclSuccess, signcclRemoteError));
    EXPECT_TRUE(voter.isUntouched());
    expectFailed(comm, signcclRemoteError, "rank 2 aborted");
  });
}

TEST_F(NcclFaultsTest, AbortFromAnotherThreadEndsACallThatWaitsForTheFirstOfItsPeers) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "60"}};
  Ranks ranks(2);
  Voter voter(0, -1);
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(signcclCommAbort(ranks[0]), signcclSuccess);
  });
  EXPECT_EQ(voter.vote(ranks[0]), signcclRemoteError);
  EXPECT_TRUE(voter.isUntouched());
  other.join();
}

TEST_F(NcclFaultsTest, ADestroyedPeerFailsThoseWhoWaitForIt) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "60"}};
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    ReadyVoter voter(rank, comm);
    if (rank == 2) {
      EXPECT_EQ(signcclCommDestroy(comm), signcclSuccess);
      ranks[rank] = nullptr;
      return;
    }
    EXPECT_THAT(voter.vote(comm), AnyOf(signcclSuccess, signcclRemoteError));
    EXPECT_TRUE(voter.isUntouched());
    expectFailed(comm, signcclRemoteError, "rank 2");
  });
}

TEST_F(NcclFaultsTest, TheDeadlineDoesNotCountWorkBeforeTheCall) {
  Ranks ranks(1);
  ReadyVoter voter(0, ranks[0]);
  std::atomic<bool> may_go_on = false;
  voter.holdStream(may_go_on);
  ASSERT_EQ(voter.vote(ranks[0]), signcclSuccess);
  std::this_thread::sleep_for(std::chrono::milliseconds(1'300));
  may_go_on = true;
  EXPECT_TRUE(voter.hasResult(-1));
}

TEST_F(NcclFaultsTest, RanksThatDisagreeAllLearnIt) {
  for (const bool is_first : {true, false}) {
    Ranks ranks(2);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      Voter voter(rank, -1);
      if (!is_first) {
        ASSERT_EQ(voter.vote(comm), signcclSuccess);
        ASSERT_TRUE(voter.hasResult(-1));
        voter.clear();
        meet(comm);
      }
      const signcclResult_t result = voter.vote(comm, {}, rank == 0 ? 5'000 : 4'000);
      EXPECT_THAT(result, AnyOf(signcclSuccess, signcclInvalidUsage)) << signcclGetLastError(nullptr);
      EXPECT_TRUE(voter.isUntouched());
      expectFailed(comm, signcclInvalidUsage, "count is ");
    });
  }
}

TEST_F(NcclFaultsTest, RanksThatMixHostAndDeviceBuffersAllLearnIt) {
  for (const bool is_first : {true, false}) {
    Ranks ranks(2);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      Voter voter(rank, -1);
      if (!is_first) {
        ASSERT_EQ(voter.vote(comm), signcclSuccess);
        ASSERT_TRUE(voter.hasResult(-1));
        meet(comm);
      }
      std::vector<float> host(Voter::kCount, 1);
      const signcclResult_t result =
          rank == 0 ? voter.vote(comm) : signccl::call({}, host.data(), host.data(), Voter::kCount, comm);
      EXPECT_THAT(result, AnyOf(signcclSuccess, signcclInvalidUsage)) << signcclGetLastError(nullptr);
      voter.stream().synchronize();
      expectFailed(comm, signcclInvalidUsage, "what carries the votes is ");
    });
  }
}

TEST_F(NcclFaultsTest, AnErrorThatNcclMeetsLaterFailsAllRanks) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "60"}};
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    ReadyVoter voter(rank, comm);
    if (rank == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      fake_nccl::failRank(0, NcclResult::kRemoteError);
      return;
    }
    EXPECT_THAT(voter.vote(comm), AnyOf(signcclSuccess, signcclRemoteError));
    EXPECT_TRUE(voter.isUntouched());
    expectFailed(comm, signcclRemoteError, "network error");
  });
}

/// One vote of two ranks in a group, with something failing. True if the fault was never reached.
template <typename Fail, typename Reached>
bool voteWithFault(const Fail& fail, const Reached& was_reached) {
  bool is_over = false;
  {
    Ranks ranks(2);
    Voter first(0, -1);
    Voter second(1, -1);
    fail();
    EXPECT_EQ(signcclGroupStart(), signcclSuccess);
    const signcclResult_t noted[] = {first.vote(ranks[0]), second.vote(ranks[1])};
    const signcclResult_t result = signcclGroupEnd();
    is_over = !was_reached();
    fake_nccl::failCall(0, NcclResult::kSuccess);
    fake_cuda::failCall(0, CudaResult::kSuccess);
    if (noted[0] != signcclSuccess || noted[1] != signcclSuccess || result != signcclSuccess) {
      EXPECT_STRNE(signcclGetLastError(nullptr), "");
      for (int rank = 0; rank < 2; ++rank) signcclCommAbort(ranks[rank]);
    }
    EXPECT_TRUE(first.isUntouchedOr(-1));
    EXPECT_TRUE(second.isUntouchedOr(-1));
  }
  return is_over;
}

TEST_F(NcclFaultsTest, WhateverCallOfNcclFailsStreamsDrainAndNoOutputIsGarbage) {
  for (const auto& [algorithm, slice_bytes] :
       {std::pair("oneshot", ""), {"direct", ""}, {"oneshot", "512"}, {"direct", "512"}}) {
    const Environment environment{{"SIGNCCL_ALGO", algorithm}, {"SIGNCCL_SLICE_BYTES", slice_bytes}};
    long number = 1;
    for (bool is_over = false; !is_over; ++number) {
      begin();
      is_over = voteWithFault([&] { fake_nccl::failCall(number, NcclResult::kSystemError); },
                              [&] { return fake_nccl::callsMade() >= number; });
      finish();
      ASSERT_FALSE(HasFailure()) << "call " << number;
      ASSERT_LT(number, 1'000);
    }
    EXPECT_GT(number, 10);
  }
}

/// Calls of CUDA in such a vote when the n-th of them fails; false as the second if it was never reached.
std::pair<long, bool> callsWithFailing(long number) {
  long before = 0;
  long calls = 0;
  const bool is_over = voteWithFault(
      [&] {
        fake_cuda::failCall(number, CudaResult::kOutOfMemory);
        before = fake_cuda::callsMade();
      },
      [&] {
        calls = fake_cuda::callsMade() - before;
        return calls >= number;
      });
  return {calls, !is_over};
}

class NcclCudaFaultsTest : public NcclFaultsTest, public ::testing::WithParamInterface<const char*> {
 private:
  const Environment slices_{{"SIGNCCL_SLICE_BYTES", GetParam()}};
};

TEST_P(NcclCudaFaultsTest, WhateverCallOfCudaFailsStreamsDrainAndNoOutputIsGarbage) {
  const auto [ncalls, was_reached] = callsWithFailing(1'000'000);
  ASSERT_FALSE(was_reached);
  ASSERT_GT(ncalls, 200);
  finish();
  // Most calls load the kernels, all in the same way; the last ones are those of a call of any number.
  long step = 1;
  for (long number = 1; number <= ncalls + 5; number += step) {
    begin();
    callsWithFailing(number);
    finish();
    ASSERT_FALSE(HasFailure()) << "call " << number;
    const bool is_of_loading = number > 10 && number < ncalls - 130;
    step = is_of_loading ? 37 : kSanitized ? 3 : 1;
  }
}

INSTANTIATE_TEST_SUITE_P(, NcclCudaFaultsTest, ::testing::Values("", "512"),
                         [](const auto& tested) { return *tested.param == '\0' ? "OneSlice" : "Slices"; });

}  // namespace
}  // namespace signccl
