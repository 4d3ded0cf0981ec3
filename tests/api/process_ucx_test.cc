// SPDX-License-Identifier: Apache-2.0
// UCX in programs that use the C API: loaded when ranks turn out to be several processes, and no sooner; and their
// signals stay theirs.
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processes.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using testing::HasSubstr;

bool isUcxLoaded() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/libucp.so") != std::string::npos) return true;
  }
  return false;
}

/// Votes with two ranks of this process.
signcclResult_t voteInOneProcess() {
  std::vector<signcclComm_t> comms(2);
  signcclResult_t result = signcclCommInitAll(comms.data(), 2, nullptr);
  if (result != signcclSuccess) return result;
  std::array<float, 2> values = {1.0F, 1.0F};
  signcclGroupStart();
  for (std::size_t i = 0; i < 2; ++i) {
    signcclAllReduceVote(&values.at(i), &values.at(i), 1, signcclFloat32, signcclFloat32, nullptr, comms[i], nullptr);
  }
  result = signcclGroupEnd();
  for (const signcclComm_t comm : comms) signcclCommDestroy(comm);
  return result;
}

/// Runs `body` in a process of its own, and expects it to return true.
template <typename Body>
void expectInProcess(const Body& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

TEST(ProcessUcxTest, RanksOfOneProcessLoadNoUcx) {
  expectInProcess([] { return voteInOneProcess() == signcclSuccess && !isUcxLoaded(); });
}

TEST(ProcessUcxTest, RanksOfOneProcessNeedNoUcx) {
  setenv("SIGNCCL_UCX_LIBRARY", "/nowhere", 1);
  expectInProcess([] { return voteInOneProcess() == signcclSuccess; });
  unsetenv("SIGNCCL_UCX_LIBRARY");
}

TEST(ProcessUcxTest, RanksOfSeveralProcessesLoadIt) {
  const Processes processes(2, [](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 2, id, nullptr, kLong, [](signcclComm_t comm) {
      const signcclResult_t result = vote(comm);
      return result == signcclSuccess && !isUcxLoaded() ? signcclInternalError : result;
    });
  });
  processes.expectSuccess();
}

TEST(ProcessUcxTest, RankThatCannotLoadItFailsAllRanksWithTheReason) {
  const Processes processes(2, [](int rank, const signcclUniqueId& id) {
    if (rank == 1) setenv("SIGNCCL_UCX_LIBRARY", "/nowhere", 1);
    return inGroup(rank, 2, id, nullptr, kLong, [](signcclComm_t comm) { return vote(comm); });
  });
  for (const int rank : {0, 1}) {
    const Said said = processes.outcome(rank);
    EXPECT_EQ(said.code, signcclInvalidUsage);
    EXPECT_THAT(said.text, HasSubstr("rank 1: SIGNCCL_UCX_LIBRARY=/nowhere: expected the path of libucp.so.0"));
  }
}

/// Sanitizers handle the others themselves.
const std::vector<int> kSignals =
    kSanitized ? std::vector<int>{SIGHUP} : std::vector<int>{SIGHUP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

class ProcessSignalsTest : public testing::TestWithParam<int> {};

TEST_P(ProcessSignalsTest, SignalEndsARankThatHasVoted) {
  const Shared<std::atomic<pid_t>> victim;
  const Processes processes(2, [&](int rank, const signcclUniqueId& id) {
    return inGroup(rank, 2, id, nullptr, kLong, [&](signcclComm_t comm) {
      const signcclResult_t result = vote(comm);
      if (result != signcclSuccess || rank == 0) return result == signcclSuccess ? vote(comm) : result;
      *victim = getpid();
      raise(GetParam());
      return signcclInternalError;  // it lives
    });
  });
  const Said survivor = processes.outcome(0);
  EXPECT_EQ(survivor.code, signcclRemoteError);
  EXPECT_THAT(survivor.text, HasSubstr("rank 1"));
  siginfo_t end{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(victim->load()), &end, WEXITED | WNOWAIT), 0);
  EXPECT_NE(end.si_code, CLD_EXITED);
  EXPECT_EQ(end.si_status, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Signals, ProcessSignalsTest, testing::ValuesIn(kSignals));

}  // namespace
}  // namespace signccl
