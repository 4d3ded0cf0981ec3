// SPDX-License-Identifier: Apache-2.0
// Ranks that disagree, abort, leave or do not come: an error on every rank that names them, never a hang.
#include <chrono>
#include <functional>
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ranks.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StrEq;

struct Disagreement {
  const char* name;
  std::function<void(Case&, std::size_t&)> change;  ///< what rank 2 does differently
  std::string said_of_others;
  std::string said_of_rank_2;
};

class Disagreements : public ::testing::TestWithParam<Disagreement> {};

TEST_P(Disagreements, AreReportedOnEveryRankWithBothRanksAndValues) {
  for (const char* algorithm : {"", "oneshot", "direct", "ring", "tree", "knomial"}) {
    const Environment environment{{"SIGNCCL_ALGO", algorithm}, {"SIGNCCL_TIMEOUT", "60"}};
    Ranks ranks(4);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      Case tested;
      std::size_t count = 100'000;
      if (rank == 2) GetParam().change(tested, count);
      std::vector<double> send(200'000, 1.0);
      std::vector<double> recv(200'000);
      EXPECT_EQ(call(tested, send.data(), recv.data(), count, comm), signcclInvalidUsage) << "rank " << rank;
      EXPECT_THAT(signcclGetLastError(comm), AllOf(HasSubstr(GetParam().said_of_others), HasSubstr("on rank 2"),
                                                   HasSubstr(GetParam().said_of_rank_2)));
      // The communicator is unusable and says why.
      EXPECT_EQ(call(Case{}, send.data(), recv.data(), 1, comm), signcclInvalidUsage);
      EXPECT_THAT(signcclGetLastError(comm), HasSubstr("the communicator has failed: the ranks disagree"));
    });
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Disagreements,
    ::testing::Values(
        Disagreement{"Count", [](Case&, std::size_t& count) { count = 99'999; }, "100000 on rank", "99999 on rank 2"},
        Disagreement{"CountZero", [](Case&, std::size_t& count) { count = 0; }, "100000 on rank", "0 on rank 2"},
        Disagreement{"SendType", [](Case& c, std::size_t&) { c.sendtype = signcclFloat64; }, "float32 on rank",
                     "float64 on rank 2"},
        Disagreement{"ReceiveType", [](Case& c, std::size_t&) { c.recvtype = signcclInt8; }, "float32 on rank",
                     "int8 on rank 2"},
        Disagreement{"ZeroRule", [](Case& c, std::size_t&) { c.zero = signcclZeroTernary; }, "binary on rank",
                     "ternary on rank 2"},
        Disagreement{"TieRule", [](Case& c, std::size_t&) { c.tie = signcclTieZero; }, "random on rank",
                     "zero on rank 2"},
        Disagreement{"Collective", [](Case& c, std::size_t&) { c.op = SignOp::kAvg; }, "AllReduceVote on rank",
                     "AllReduceAvg on rank 2"}),
    [](const auto& instance) { return instance.param.name; });

TEST(Disagreements, InTheSizeOfAGroupAreReported) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<float> data(64, 1.0F);
    EXPECT_EQ(signcclGroupStart(), signcclSuccess);
    for (int i = 0; i < 2 + rank; ++i) {
      EXPECT_EQ(call(Case{}, data.data(), data.data(), data.size(), comm), signcclSuccess);
    }
    EXPECT_EQ(signcclGroupEnd(), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(nullptr), AllOf(HasSubstr("2 on rank 0"), HasSubstr("3 on rank 1")));
  });
}

TEST(Disagreements, InSettingsAreReportedWhenJoining) {
  signcclUniqueId id;
  ASSERT_EQ(signcclGetUniqueId(&id), signcclSuccess);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
      config.algorithm = rank == 0 ? "ring" : "tree";
      signcclComm_t comm = nullptr;
      EXPECT_EQ(signcclCommInitRankConfig(&comm, 2, id, rank, &config), signcclInvalidUsage);
      EXPECT_THAT(signcclGetLastError(nullptr), AllOf(HasSubstr("ring on rank 0"), HasSubstr("tree on rank 1")));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(SilentRank, IsNamedWhenTheDeadlinePasses) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "1"}};
  for (const char* algorithm : {"oneshot", "direct", "ring", "tree", "knomial"}) {
    const Environment forced{{"SIGNCCL_ALGO", algorithm}};
    Ranks ranks(3);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      if (rank == 1) return;
      std::vector<float> data(100'000, 1.0F);
      EXPECT_EQ(call(Case{}, data.data(), data.data(), data.size(), comm), signcclTimeout) << algorithm;
      EXPECT_THAT(signcclGetLastError(comm), HasSubstr("waited 1000 ms for rank"));
    });
  }
}

TEST(SilentRank, IsNamedWhenItDoesNotJoin) {
  signcclUniqueId id;
  ASSERT_EQ(signcclGetUniqueId(&id), signcclSuccess);
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  config.timeoutMs = 50;
  signcclComm_t comm = nullptr;
  EXPECT_EQ(signcclCommInitRankConfig(&comm, 3, id, 1, &config), signcclTimeout);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("ranks 0 and 2 of 3 to join"));
}

TEST(LeavingRank, FailsThoseThatWaitForIt) {
  Ranks ranks(4);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 3; ++rank) {
    threads.emplace_back([&, rank] {
      std::vector<float> data(100'000, 1.0F);
      EXPECT_EQ(call(Case{}, data.data(), data.data(), data.size(), ranks[rank]), signcclRemoteError);
      EXPECT_THAT(signcclGetLastError(ranks[rank]), HasSubstr("rank 3 destroyed its communicator"));
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(signcclCommDestroy(std::exchange(ranks[3], nullptr)), signcclSuccess);
  for (std::thread& thread : threads) thread.join();
}

TEST(LeavingRank, FailsLaterCallsToo) {
  Ranks ranks(2);
  EXPECT_EQ(signcclCommDestroy(std::exchange(ranks[1], nullptr)), signcclSuccess);
  float value = 1.0F;
  EXPECT_EQ(call(Case{}, &value, &value, 1, ranks[0]), signcclRemoteError);
  EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("rank 1 destroyed its communicator"));
}

TEST(LeavingRank, DoesNotDisturbWhatIsComplete) {
  for (int repetition = 0; repetition < 50; ++repetition) {
    Ranks ranks(4);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      std::vector<float> data(5000, -1.0F);
      EXPECT_EQ(call(Case{}, data.data(), data.data(), data.size(), comm), signcclSuccess);
      EXPECT_EQ(signcclCommDestroy(std::exchange(ranks[rank], nullptr)), signcclSuccess);
      EXPECT_EQ(data, std::vector<float>(5000, -1.0F));
    });
  }
}

TEST(Abort, EndsCollectivesOnAllRanksFromAnyThread) {
  for (int repetition = 0; repetition < 20; ++repetition) {
    Ranks ranks(4);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 3; ++rank) {
      threads.emplace_back([&, rank] {
        std::vector<float> data(300'000, 1.0F);
        EXPECT_EQ(call(Case{}, data.data(), data.data(), data.size(), ranks[rank]), signcclRemoteError);
        EXPECT_THAT(signcclGetLastError(ranks[rank]), HasSubstr("rank 2 aborted the communicator"));
      });
    }
    std::this_thread::sleep_for(std::chrono::microseconds(300 * repetition));
    EXPECT_EQ(signcclCommAbort(ranks[2]), signcclSuccess);
    for (std::thread& thread : threads) thread.join();
    signcclResult_t state = signcclSuccess;
    EXPECT_EQ(signcclCommGetAsyncError(ranks[3], &state), signcclSuccess);
    EXPECT_EQ(state, signcclRemoteError);
  }
}

TEST(Abort, InTheMiddleOfTrafficLeavesNothingDangling) {
  for (int repetition = 0; repetition < 30; ++repetition) {
    const Environment environment{{"SIGNCCL_SLICE_BYTES", "64"}, {"SIGNCCL_NTHREADS", repetition % 2 == 0 ? "1" : "2"}};
    Ranks ranks(3);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      while (true) {
        // Freed right after a failed call, so that a kernel that still ran on it would be noticed.
        std::vector<float> data(50'000, 1.0F);
        if (call(Case{}, data.data(), data.data(), data.size(), comm) != signcclSuccess) break;
        if (rank == 0) signcclCommAbort(comm);
      }
      EXPECT_EQ(signcclCommDestroy(std::exchange(ranks[rank], nullptr)), signcclSuccess);
    });
  }
}

TEST(Abort, MakesLaterCallsFailAndDestroyStillWorks) {
  Ranks ranks(2);
  EXPECT_EQ(signcclCommAbort(ranks[0]), signcclSuccess);
  float value = 1.0F;
  for (int rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(call(Case{}, &value, &value, 1, ranks[rank]), signcclRemoteError);
    EXPECT_THAT(signcclGetLastError(ranks[rank]), HasSubstr("rank 0 aborted"));
  }
}

TEST(Abort, TellsItsReasonOnAllRanks) {
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<float> data(1000, 1.0F);
    if (rank == 1) {
      EXPECT_EQ(signcclCommAbortWithReason(comm, "its gradient is sparse"), signcclSuccess);
    }
    EXPECT_EQ(call(Case{}, data.data(), data.data(), data.size(), comm), signcclRemoteError);
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr("rank 1 aborted the communicator: its gradient is sparse"));
  });
}

TEST(Abort, WithoutAReasonSaysNoMore) {
  for (const char* reason : {static_cast<const char*>(nullptr), ""}) {
    Ranks ranks(2);
    EXPECT_EQ(signcclCommAbortWithReason(ranks[1], reason), signcclSuccess);
    EXPECT_THAT(signcclGetLastError(ranks[0]), StrEq("rank 1 aborted the communicator"));
  }
}

TEST(Abort, TellsTheBeginningOfALongReasonInWholeCharacters) {
  const std::string start = "rank 1 aborted the communicator: ";
  const std::string eszett = "\xC3\x9F";
  std::string reason = "a";
  while (reason.size() < 2 * SIGNCCL_ABORT_REASON_MAX_BYTES) reason += eszett;
  Ranks ranks(2);
  EXPECT_EQ(signcclCommAbortWithReason(ranks[1], reason.c_str()), signcclSuccess);
  EXPECT_THAT(signcclGetLastError(ranks[0]), StrEq(start + reason.substr(0, SIGNCCL_ABORT_REASON_MAX_BYTES - 1)));
}

TEST(Abort, WithAReasonAfterAFailureKeepsTheFirst) {
  Ranks ranks(2);
  EXPECT_EQ(signcclCommAbort(ranks[0]), signcclSuccess);
  EXPECT_EQ(signcclCommAbortWithReason(ranks[1], "too late"), signcclSuccess);
  EXPECT_THAT(signcclGetLastError(ranks[1]), StrEq("rank 0 aborted the communicator"));
}

/// While it lives, no thread can be started: the stacks of new threads would not fit into any address space.
class NoNewThreads {
 public:
  NoNewThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    pthread_attr_init(&huge);
    EXPECT_EQ(pthread_attr_setstacksize(&huge, std::size_t{1} << 48), 0);
    EXPECT_EQ(pthread_setattr_default_np(&huge), 0);
    pthread_attr_destroy(&huge);
  }
  ~NoNewThreads() {
    EXPECT_EQ(pthread_setattr_default_np(&before_), 0);
    pthread_attr_destroy(&before_);
  }
  NoNewThreads(const NoNewThreads&) = delete;
  NoNewThreads& operator=(const NoNewThreads&) = delete;

 private:
  pthread_attr_t before_{};
};

TEST(ThreadThatCannotBeStarted, FailsANonBlockingCallAndLeavesTheCommunicatorUsable) {
  Ranks ranks(1);
  float value = -1.0F;
  signcclRequest_t request = nullptr;
  const auto vote = [&] {
    return signcclAllReduceVoteAsync(&value, &value, 1, signcclFloat32, signcclFloat32, nullptr, ranks[0], nullptr,
                                     &request);
  };
  {
    const NoNewThreads no_new_threads;
    EXPECT_EQ(vote(), signcclSystemError);
    EXPECT_STRNE(signcclGetLastError(ranks[0]), "");
  }
  EXPECT_EQ(vote(), signcclSuccess);
  EXPECT_EQ(signcclRequestWait(&request), signcclSuccess);
}

TEST(ThreadThatCannotBeStarted, FailsTheInitThatWantsThreadsForKernels) {
  const Environment environment{{"SIGNCCL_NTHREADS", "3"}};
  const NoNewThreads no_new_threads;
  signcclComm_t comm = nullptr;
  EXPECT_EQ(signcclCommInitAll(&comm, 1, nullptr), signcclSystemError);
  EXPECT_EQ(comm, nullptr);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("cannot start 2 threads for kernels, only 0: "));
}

TEST(DestroyedCommunicator, IsRefusedByEveryFunction) {
  signcclComm_t comm = nullptr;
  ASSERT_EQ(signcclCommInitAll(&comm, 1, nullptr), signcclSuccess);
  ASSERT_EQ(signcclCommDestroy(comm), signcclSuccess);
  float value = 1.0F;
  int number = 0;
  signcclComm_t other = nullptr;
  signcclResult_t state = signcclSuccess;
  EXPECT_EQ(call(Case{}, &value, &value, 1, comm), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("destroyed or never created"));
  EXPECT_EQ(signcclCommDestroy(comm), signcclInvalidUsage);
  EXPECT_EQ(signcclCommAbort(comm), signcclInvalidUsage);
  EXPECT_EQ(signcclCommFinalize(comm), signcclInvalidUsage);
  EXPECT_EQ(signcclCommCount(comm, &number), signcclInvalidUsage);
  EXPECT_EQ(signcclCommUserRank(comm, &number), signcclInvalidUsage);
  EXPECT_EQ(signcclCommGetAsyncError(comm, &state), signcclInvalidUsage);
  EXPECT_EQ(signcclCommSplit(comm, 0, 0, &other, nullptr), signcclInvalidUsage);
}

}  // namespace
}  // namespace signccl
