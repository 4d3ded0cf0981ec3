// SPDX-License-Identifier: Apache-2.0
// Ranks that are processes and die, stop, abort or leave: an error on every other rank that names them, never a hang.
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/eventually.h"
#include "processes.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr int kRanks = 3;
/// So many elements that a vote takes milliseconds and its messages come in several pieces.
constexpr std::size_t kLarge = 8'000'000;

using InGroup = std::function<signcclResult_t(signcclComm_t comm, int rank)>;

/// Ranks that vote once and, when all have done so, run `body`.
Processes ranksThat(const InGroup& body, const char* algorithm = nullptr, int timeout_ms = kLong) {
  const Shared<std::atomic<int>> nready;
  return Processes(kRanks, [&](int rank, const signcclUniqueId& id) {
    return inGroup(rank, kRanks, id, algorithm, timeout_ms, [&](signcclComm_t comm) {
      const signcclResult_t first = vote(comm);
      if (first != signcclSuccess) return first;
      ++*nready;
      eventually([&] { return *nready == kRanks; });
      return body(comm, rank);
    });
  });
}

/// Every rank but `rank` must end with `code` and a message with `words`.
void expectOfOthers(const Processes& processes, int rank, int code, const std::string& words) {
  for (int other = 0; other < kRanks; ++other) {
    if (other == rank) continue;
    const Said said = processes.outcome(other, 20s);
    EXPECT_EQ(said.code, code) << "rank " << other << ": " << said.text;
    EXPECT_THAT(said.text, HasSubstr(words)) << "rank " << other;
  }
}

std::string name(int rank) { return "rank " + std::to_string(rank); }

/// The state of a communicator that is not used, once it is no longer well.
signcclResult_t awaitFailure(signcclComm_t comm) {
  signcclResult_t state = signcclSuccess;
  eventually([&] { return signcclCommGetAsyncError(comm, &state) != signcclSuccess || state != signcclSuccess; });
  return state;
}

/// Votes over and over, counting the calls.
signcclResult_t voteUntilItFails(signcclComm_t comm, std::atomic<int>& ncalls) {
  std::vector<std::int8_t> values(kLarge, 1);
  while (true) {
    const signcclResult_t result =
        signcclAllReduceVote(values.data(), values.data(), kLarge, signcclInt8, signcclInt8, nullptr, comm, nullptr);
    if (result != signcclSuccess) return result;
    ++ncalls;
  }
}

/// The parameter is the rank that fails: that in whose process the ranks meet, or another one.
class FailingRankTest : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Of3, FailingRankTest, testing::Values(0, 1),
                         [](const auto& test) { return "rank" + std::to_string(test.param); });

TEST_P(FailingRankTest, KilledBeforeACallIsNamedInIt) {
  const Processes processes = ranksThat([](signcclComm_t comm, int rank) {
    if (rank == GetParam()) raise(SIGKILL);
    return vote(comm);
  });
  expectOfOthers(processes, GetParam(), signcclRemoteError, name(GetParam()));
}

TEST_P(FailingRankTest, KilledOverTcpWhileAChildOfItLivesIsNamed) {
  for (const bool execs : {false, true}) {
    const Shared<std::atomic<pid_t>> child;
    setenv("UCX_TLS", "tcp,self", 1);
    const Processes processes = ranksThat([&](signcclComm_t comm, int rank) {
      if (rank != GetParam()) return awaitFailure(comm) == signcclRemoteError ? vote(comm) : signcclInternalError;
      const pid_t made = fork();
      if (made == 0) {  // as a worker that loads data, or a program that system() runs
        if (execs) execlp("sleep", "sleep", "600", nullptr);
        while (true) pause();
      }
      *child = made;
      raise(SIGKILL);
      return signcclSuccess;
    });
    unsetenv("UCX_TLS");
    expectOfOthers(processes, GetParam(), signcclRemoteError, "the communicator has failed: " + name(GetParam()));
    kill(*child, SIGKILL);
  }
}

TEST_P(FailingRankTest, KilledWhileAllAreIdleIsNamedInTheNextCall) {
  const Processes processes = ranksThat([](signcclComm_t comm, int rank) {
    if (rank == GetParam()) raise(SIGKILL);
    return awaitFailure(comm) == signcclRemoteError ? vote(comm) : signcclInternalError;
  });
  expectOfOthers(processes, GetParam(), signcclRemoteError, "the communicator has failed: " + name(GetParam()));
}

TEST_P(FailingRankTest, KilledAtAnyMomentOfLargeVotesIsNamed) {
  struct Moment {
    const char* algorithm;
    std::chrono::milliseconds after;
  };
  for (const Moment& moment : {Moment{"oneshot", 0ms}, Moment{"direct", 1ms}, Moment{"direct", 3ms},
                               Moment{"ring", 7ms}, Moment{"tree", 17ms}}) {
    const Shared<std::atomic<int>> ncalls;
    const Processes processes =
        ranksThat([&](signcclComm_t comm, int) { return voteUntilItFails(comm, *ncalls); }, moment.algorithm);
    EXPECT_TRUE(eventually([&] { return *ncalls > kRanks; }));
    std::this_thread::sleep_for(moment.after);
    processes.send(GetParam(), SIGKILL);
    expectOfOthers(processes, GetParam(), signcclRemoteError, name(GetParam()));
  }
}

TEST_P(FailingRankTest, KilledWhileTheOthersStandStillForItIsNamed) {
  for (const char* algorithm : {"direct", "tree"}) {
    const Shared<std::atomic<int>> ncalls;
    const Processes processes =
        ranksThat([&](signcclComm_t comm, int) { return voteUntilItFails(comm, *ncalls); }, algorithm);
    EXPECT_TRUE(eventually([&] { return *ncalls > kRanks; }));
    processes.send(GetParam(), SIGSTOP);
    std::this_thread::sleep_for(300ms);
    processes.send(GetParam(), SIGKILL);
    expectOfOthers(processes, GetParam(), signcclRemoteError, name(GetParam()));
  }
}

TEST_P(FailingRankTest, KilledWhileItSendsIsNamed) {
  const Shared<std::atomic<bool>> sends;
  const Processes processes = ranksThat([&](signcclComm_t comm, int rank) {
    if (rank == GetParam()) {
      *sends = true;
      return vote(comm, kLarge);
    }
    return awaitFailure(comm) == signcclRemoteError ? vote(comm, kLarge) : signcclInternalError;
  });
  EXPECT_TRUE(eventually([&] { return sends->load(); }));
  std::this_thread::sleep_for(200ms);
  processes.send(GetParam(), SIGKILL);
  expectOfOthers(processes, GetParam(), signcclRemoteError, name(GetParam()));
}

TEST_P(FailingRankTest, KilledWhileTheOthersSendToItIsNamed) {
  const Shared<std::atomic<int>> nsending;
  const Processes processes = ranksThat([&](signcclComm_t comm, int rank) {
    if (rank == GetParam()) std::this_thread::sleep_for(1h);
    ++*nsending;
    return vote(comm, kLarge);
  });
  EXPECT_TRUE(eventually([&] { return *nsending == kRanks - 1; }));
  std::this_thread::sleep_for(200ms);
  processes.send(GetParam(), SIGKILL);
  expectOfOthers(processes, GetParam(), signcclRemoteError, name(GetParam()));
}

TEST_P(FailingRankTest, KilledWhileRequestsAreUnderWayIsNamedInEachOfThem) {
  const Processes processes = ranksThat([](signcclComm_t comm, int rank) {
    if (rank == GetParam()) {
      std::this_thread::sleep_for(200ms);
      raise(SIGKILL);
    }
    std::vector<std::int8_t> values(3000, 1);
    signcclRequest_t requests[3] = {};
    for (std::size_t i = 0; i < 3; ++i) {
      std::int8_t* const part = values.data() + 1000 * i;
      const signcclResult_t result =
          signcclAllReduceVoteAsync(part, part, 1000, signcclInt8, signcclInt8, nullptr, comm, nullptr, &requests[i]);
      if (result != signcclSuccess) return signcclInternalError;
    }
    signcclResult_t last = signcclSuccess;
    for (signcclRequest_t& request : requests) {
      last = signcclRequestWait(&request);
      if (last != signcclRemoteError) return signcclInternalError;
    }
    return last;
  });
  expectOfOthers(processes, GetParam(), signcclRemoteError, name(GetParam()));
}

TEST_P(FailingRankTest, KilledWhileTheOthersJoinEndsTheirWait) {
  const Processes processes(kRanks, [](int rank, const signcclUniqueId& id) {
    if (rank == 2) std::this_thread::sleep_for(1h);
    if (rank == GetParam()) {
      std::thread([] {
        std::this_thread::sleep_for(500ms);
        raise(SIGKILL);
      }).detach();
    }
    return inGroup(rank, kRanks, id, nullptr, kLong, [&](signcclComm_t comm) { return vote(comm); });
  });
  const Said said = processes.outcome(1 - GetParam(), 20s);
  EXPECT_EQ(said.code, signcclRemoteError) << said.text;
  // Who the ranks of a process are is not known before all have joined.
  EXPECT_THAT(said.text, HasSubstr(GetParam() == 0 ? "the process at" : "rank 1"));
  EXPECT_THAT(said.text, HasSubstr("died or cannot be reached"));
}

TEST_P(FailingRankTest, KilledWhileTheOthersSplitIsNamed) {
  const Processes processes = ranksThat([](signcclComm_t comm, int rank) {
    signcclComm_t all = nullptr;
    signcclGroupStart();
    signcclCommSplit(comm, 0, -rank, &all, nullptr);
    if (rank == GetParam()) {
      // It has said that it takes part, so that the others wait for it.
      std::this_thread::sleep_for(500ms);
      raise(SIGKILL);
    }
    return signcclGroupEnd();
  });
  expectOfOthers(processes, GetParam(), signcclRemoteError, name(GetParam()));
}

TEST_P(FailingRankTest, KilledWhileAllDestroyKeepsNobodyFromIt) {
  for (const auto moment : {-1ms, 0ms, 1ms, 5ms}) {
    const Processes processes = ranksThat([&](signcclComm_t, int rank) {
      if (rank == GetParam()) {
        if (moment < 0ms) raise(SIGKILL);
        std::thread([moment] {
          std::this_thread::sleep_for(moment);
          raise(SIGKILL);
        }).detach();
      }
      return signcclSuccess;
    });
    expectOfOthers(processes, GetParam(), signcclSuccess, "");
  }
}

TEST_P(FailingRankTest, StoppedIsNamedWhenTheDeadlinePasses) {
  const Processes processes = ranksThat(
      [](signcclComm_t comm, int rank) {
        if (rank == GetParam()) raise(SIGSTOP);
        return vote(comm);
      },
      nullptr, 3000);
  expectOfOthers(processes, GetParam(), signcclTimeout, name(GetParam()));
}

TEST_P(FailingRankTest, DestroyedWhileOthersCallIsNamed) {
  const Processes processes =
      ranksThat([](signcclComm_t comm, int rank) { return rank == GetParam() ? signcclSuccess : vote(comm); });
  expectOfOthers(processes, GetParam(), signcclRemoteError, name(GetParam()) + " destroyed its communicator");
}

TEST_P(FailingRankTest, AbortReachesTheOthers) {
  const Processes processes = ranksThat([](signcclComm_t comm, int rank) {
    if (rank != GetParam()) return vote(comm);
    std::this_thread::sleep_for(200ms);
    const signcclResult_t result = signcclCommAbort(comm);
    // What a process had to say may be lost if it ends at once; the others then hear that it died.
    std::this_thread::sleep_for(200ms);
    return result;
  });
  expectOfOthers(processes, GetParam(), signcclRemoteError, name(GetParam()) + " aborted");
}

TEST_P(FailingRankTest, ReasonOfAnAbortReachesTheOthersWhileItsProcessLives) {
  const Shared<std::atomic<int>> told;
  const Processes processes = ranksThat([&](signcclComm_t comm, int rank) {
    if (rank != GetParam()) {
      const signcclResult_t result = vote(comm);
      ++*told;
      return result;
    }
    const signcclResult_t result = signcclCommAbortWithReason(comm, "its gradient is sparse");
    eventually([&] { return *told == kRanks - 1; });
    return result;
  });
  expectOfOthers(processes, GetParam(), signcclRemoteError,
                 name(GetParam()) + " aborted the communicator: its gradient is sparse");
}

TEST_P(FailingRankTest, AbortOfAnotherThreadEndsACallThoughNobodyElseReacts) {
  const Shared<std::atomic<int>> arrived;
  const Shared<std::atomic<bool>> may_abort;
  const Processes processes = ranksThat([&](signcclComm_t comm, int rank) {
    ++*arrived;
    if (rank != GetParam()) std::this_thread::sleep_for(1h);
    std::thread aborter([&] {
      eventually([&] { return may_abort->load(); });
      signcclCommAbort(comm);
    });
    const signcclResult_t result = vote(comm, kLarge);
    aborter.join();
    return result;
  });
  EXPECT_TRUE(eventually([&] { return *arrived == kRanks; }));
  for (int rank = 0; rank < kRanks; ++rank) {
    if (rank != GetParam()) processes.send(rank, SIGSTOP);
  }
  std::this_thread::sleep_for(200ms);
  *may_abort = true;
  const Said said = processes.outcome(GetParam(), 20s);
  EXPECT_EQ(said.code, signcclRemoteError) << said.text;
  EXPECT_THAT(said.text, HasSubstr(name(GetParam()) + " aborted"));
}

TEST_P(FailingRankTest, AfterAFaultACommunicatorAnswersAndIsDestroyed) {
  const Processes processes = ranksThat([](signcclComm_t comm, int rank) {
    if (rank == GetParam()) raise(SIGKILL);
    if (awaitFailure(comm) != signcclRemoteError) return signcclInternalError;
    signcclCommStats_t stats = {};
    stats.size = sizeof stats;
    int nranks = 0;
    signcclComm_t half = nullptr;
    for (int turn = 0; turn < 2; ++turn) {
      if (vote(comm) != signcclRemoteError) return signcclInternalError;
      if (signcclCommSplit(comm, 0, 0, &half, nullptr) != signcclRemoteError) return signcclInternalError;
      if (signcclCommCount(comm, &nranks) != signcclSuccess || nranks != kRanks) return signcclInternalError;
      if (signcclCommGetStats(comm, &stats) != signcclSuccess || stats.collectives != 1) return signcclInternalError;
      if (signcclCommAbort(comm) != signcclSuccess) return signcclInternalError;
    }
    return signcclSuccess;  // and so is that of the destruction
  });
  expectOfOthers(processes, GetParam(), signcclSuccess, "");
}

}  // namespace
}  // namespace signccl
