// SPDX-License-Identifier: Apache-2.0
// signcclCommAllGather() of ranks that are processes: right bytes, and an error that names who is missing or disagrees.
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/eventually.h"
#include "gathered.h"
#include "processes.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using InGroup = std::function<std::string(signcclComm_t comm, int rank)>;

/// Ranks that join and say what `body` gives.
Processes ranksThat(int nranks, const InGroup& body, int timeout_ms = kLong) {
  return {nranks, [=](int rank, const signcclUniqueId& id) {
            std::string text;
            Said said = inGroup(rank, nranks, id, nullptr, timeout_ms, [&](signcclComm_t comm) {
              text = body(comm, rank);
              return signcclSuccess;
            });
            if (said.code == signcclSuccess) said.text = text;
            return said;
          }};
}

/// Every rank but `rank` (-1: every rank) says `words`, after a code.
void expectSaid(const Processes& processes, int nranks, int rank, const std::string& words) {
  for (int other = 0; other < nranks; ++other) {
    if (other == rank) continue;
    EXPECT_THAT(processes.outcome(other, 20s).text, HasSubstr(words)) << "rank " << other;
  }
}

class ProcessAllGatherTest : public testing::TestWithParam<int> {};

TEST_P(ProcessAllGatherTest, GivesEveryRankTheBytesOfAllInRankOrder) {
  const int nranks = GetParam();
  const Processes processes = ranksThat(nranks, [=](signcclComm_t comm, int rank) -> std::string {
    for (unsigned round = 0; round < 50; ++round) {
      for (const std::size_t bytes : std::vector<std::size_t>{8, 0, 1, 70'001}) {
        const std::string wrong = gatherAndCheck(comm, rank, nranks, bytes, round);
        if (!wrong.empty()) return std::to_string(bytes) + " bytes, round " + std::to_string(round) + ": " + wrong;
      }
    }
    return {};
  });
  for (int rank = 0; rank < nranks; ++rank) EXPECT_EQ(processes.outcome(rank).text, "") << "rank " << rank;
}

INSTANTIATE_TEST_SUITE_P(Ranks, ProcessAllGatherTest, testing::Values(1, 2, 3, 5, 8),
                         [](const auto& test) { return std::to_string(test.param); });

TEST(ProcessAllGather, TakesItsLimit) {
  const Processes processes = ranksThat(3, [](signcclComm_t comm, int rank) {
    return gatherAndCheck(comm, rank, 3, SIGNCCL_ALL_GATHER_MAX_BYTES / 3, 0);
  });
  for (int rank = 0; rank < 3; ++rank) EXPECT_EQ(processes.outcome(rank).text, "") << "rank " << rank;
}

TEST(ProcessAllGather, TakesTurnsWithVotesAndSplits) {
  const Processes processes = ranksThat(4, [](signcclComm_t comm, int rank) -> std::string {
    for (unsigned round = 0; round < 3; ++round) {
      std::string wrong = gatherAndCheck(comm, rank, 4, 4, round);
      if (wrong.empty() && vote(comm) != signcclSuccess) wrong = signcclGetLastError(nullptr);
      signcclComm_t half = nullptr;
      if (signcclCommSplit(comm, rank % 2, rank, &half, nullptr) != signcclSuccess) return signcclGetLastError(nullptr);
      if (wrong.empty()) wrong = gatherAndCheck(half, rank / 2, 2, 4, round);
      signcclCommDestroy(half);
      if (!wrong.empty()) return wrong;
    }
    return {};
  });
  for (int rank = 0; rank < 4; ++rank) EXPECT_EQ(processes.outcome(rank).text, "") << "rank " << rank;
}

TEST(ProcessAllGather, OfOtherSizesIsAnErrorWithBothRanksAndValues) {
  const Processes processes =
      ranksThat(3, [](signcclComm_t comm, int rank) { return gatherAndCheck(comm, rank, 3, rank == 2 ? 5 : 4, 0); });
  expectSaid(processes, 3, -1, "bytes is 4 on rank 0 and 5 on rank 2");
}

TEST(ProcessAllGather, WhereAnotherRankSplitsIsAnErrorThatNamesBoth) {
  const Processes processes = ranksThat(3, [](signcclComm_t comm, int rank) -> std::string {
    if (rank != 1) return gatherAndCheck(comm, rank, 3, 4, 0);
    signcclComm_t made = nullptr;
    signcclCommSplit(comm, 0, 0, &made, nullptr);
    return signcclGetLastError(nullptr);
  });
  expectSaid(processes, 3, -1, "rank 1 has called signcclCommSplit() where rank ");
}

TEST(ProcessAllGather, OfARankThatIsKilledFailsWithItsName) {
  for (const int killed : {0, 2}) {  // 0 has the hub
    const Processes processes = ranksThat(3, [=](signcclComm_t comm, int rank) {
      std::string wrong = gatherAndCheck(comm, rank, 3, 4, 0);
      if (rank == killed) raise(SIGKILL);
      if (wrong.empty()) wrong = gatherAndCheck(comm, rank, 3, 4, 1);
      return wrong;
    });
    expectSaid(processes, 3, killed, "6: ");
    expectSaid(processes, 3, killed, "rank " + std::to_string(killed));
  }
}

TEST(ProcessAllGather, OfARankThatIsStoppedEndsAtTheDeadlineWithItsName) {
  const Processes processes = ranksThat(
      3,
      [](signcclComm_t comm, int rank) {
        std::string wrong = gatherAndCheck(comm, rank, 3, 4, 0);
        if (rank == 2) raise(SIGSTOP);
        if (wrong.empty()) wrong = gatherAndCheck(comm, rank, 3, 4, 1);
        return wrong;
      },
      2000);
  expectSaid(processes, 3, 2, "8: ");
  expectSaid(processes, 3, 2, "timed out waiting for rank 2 to call signcclCommAllGather()");
}

TEST(ProcessAllGather, IsEndedByAnAbort) {
  const Processes processes = ranksThat(3, [](signcclComm_t comm, int rank) -> std::string {
    if (rank != 1) return gatherAndCheck(comm, rank, 3, 4, 0);
    std::this_thread::sleep_for(100ms);
    signcclCommAbort(comm);
    return {};
  });
  expectSaid(processes, 3, 1, "6: ");
  expectSaid(processes, 3, 1, "rank 1 aborted the communicator");
}

TEST(ProcessAllGather, OfARankThatIsDestroyedFailsWithItsName) {
  for (const int gone : {0, 1}) {
    const Processes processes = ranksThat(3, [=](signcclComm_t comm, int rank) {
      return rank == gone ? std::string() : gatherAndCheck(comm, rank, 3, 4, 0);
    });
    expectSaid(processes, 3, gone, "rank " + std::to_string(gone) + " destroyed its communicator");
  }
}

/// Ranks 1 and 2 make `call` after the process of rank 0 has ended, well: nobody is there to answer.
void expectRank0Named(const std::function<signcclResult_t(signcclComm_t comm)>& call) {
  const Shared<std::atomic<bool>> has_ended;
  const Processes processes(3, [&](int rank, const signcclUniqueId& id) {
    Said said = inGroup(rank, 3, id, nullptr, kLong, [&](signcclComm_t comm) {
      if (rank == 0) return signcclSuccess;
      eventually([&] { return has_ended->load(); });
      std::this_thread::sleep_for(300ms);
      return call(comm);
    });
    if (rank == 0) {
      has_ended->store(true);
      _exit(0);
    }
    return said;
  });
  for (const int rank : {1, 2}) {
    const Said said = processes.outcome(rank, 20s);
    EXPECT_EQ(said.code, signcclRemoteError) << said.text;
    EXPECT_THAT(said.text, HasSubstr("rank 0 destroyed its communicator")) << "rank " << rank;
  }
}

TEST(ProcessOfTheHubThatHasEnded, IsNamedByAnAllGather) {
  expectRank0Named([](signcclComm_t comm) {
    std::array<int, 4> values{};
    return signcclCommAllGather(&values[3], values.data(), sizeof(int), comm);
  });
}

TEST(ProcessOfTheHubThatHasEnded, IsNamedByASplit) {
  expectRank0Named([](signcclComm_t comm) {
    signcclComm_t made = nullptr;
    return signcclCommSplit(comm, 0, 0, &made, nullptr);
  });
}

}  // namespace
}  // namespace signccl
