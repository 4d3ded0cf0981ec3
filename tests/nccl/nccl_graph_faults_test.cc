// SPDX-License-Identifier: Apache-2.0
// What goes wrong with CUDA graphs over NCCL: every stream drains in time, replays after a failure write nothing, and
// graphs and communicators go in any order.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "graph_test.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

class NcclGraphFaultsTest : public NcclGraphTest {
 protected:
  const Environment environment_{{"SIGNCCL_TIMEOUT", "1"}};
};

signcclResult_t stateOf(signcclComm_t comm) {
  signcclResult_t state = signcclSuccess;
  EXPECT_EQ(signcclCommGetAsyncError(comm, &state), signcclSuccess);
  return state;
}

std::unique_ptr<Graph> capture(Voter& voter, signcclComm_t comm, std::size_t count = Voter::kCount) {
  return std::make_unique<Graph>(
      voter.stream(), [&] { EXPECT_EQ(voter.vote(comm, {}, count), signcclSuccess) << signcclGetLastError(nullptr); });
}

TEST_F(NcclGraphFaultsTest, AReplayThatPeersDoNotMakeEndsAtTheDeadline) {
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    connect(comm);
    const auto graph = capture(voter, comm);
    graph->launch(voter.stream());
    EXPECT_TRUE(voter.hasResult(-1));
    voter.clear();
    if (rank != 2) graph->launch(voter.stream());
    await([&] { return stateOf(comm) == signcclTimeout; });
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr("ms for the other ranks in replay 1 of a CUDA graph"));
    graph->launch(voter.stream());
    // A rank whose NCCL is not aborted yet may meet the late replay of rank 2.
    EXPECT_TRUE(voter.isUntouchedOr(-1));
  });
}

TEST_F(NcclGraphFaultsTest, AbortDrainsReplaysThatWaitAndThoseThatCome) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "60"}};
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    connect(comm);
    const auto graph = capture(voter, comm);
    graph->launch(voter.stream());
    EXPECT_TRUE(voter.hasResult(-1));
    voter.clear();
    meet(comm);
    if (rank == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
    } else {
      for (int replay = 0; replay < 20; ++replay) graph->launch(voter.stream());
    }
    EXPECT_TRUE(voter.isUntouched()) << "rank " << rank;
    EXPECT_EQ(stateOf(comm), signcclRemoteError);
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr("rank 1 aborted"));
    EXPECT_EQ(voter.vote(comm), signcclRemoteError);
  });
}

TEST_F(NcclGraphFaultsTest, RanksThatCaptureDifferentCallsAreToldAtTheCapture) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    connect(comm);
    const auto graph = capture(voter, comm, rank == 0 ? 100 : 101);
    await([&] { return stateOf(comm) == signcclInvalidUsage; });
    EXPECT_THAT(signcclGetLastError(comm),
                AllOf(HasSubstr("count is "), HasSubstr("100 on rank 0"), HasSubstr("101 on rank 1")));
    graph->launch(voter.stream());
    EXPECT_TRUE(voter.isUntouched());
  });
}

TEST_F(NcclGraphFaultsTest, ReplaysOfDifferentGraphsWriteNothingAndAreFound) {
  for (const char* algorithm : {"oneshot", "direct"}) {
    const Environment environment{{"SIGNCCL_ALGO", algorithm}};
    Ranks ranks(3);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      Voter voter(rank, -1);
      connect(comm);
      const auto one = capture(voter, comm);
      const auto other = capture(voter, comm);
      one->launch(voter.stream());
      EXPECT_TRUE(voter.hasResult(-1));
      voter.clear();
      (rank == 1 ? other : one)->launch(voter.stream());
      EXPECT_TRUE(voter.isUntouched());
      await([&] { return stateOf(comm) == signcclInvalidUsage; });
      EXPECT_THAT(signcclGetLastError(comm), HasSubstr("replay different CUDA graphs over NCCL"));
      one->launch(voter.stream());
      EXPECT_TRUE(voter.isUntouched());
    });
  }
}

TEST_F(NcclGraphFaultsTest, ARankThatCapturesWhereAnotherOneCallsIsToldSo) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    connect(comm);
    std::unique_ptr<Graph> graph;
    if (rank == 0) {
      graph = capture(voter, comm);
    } else {
      EXPECT_THAT(voter.vote(comm), AnyOf(signcclSuccess, signcclInvalidUsage));  // it may hear of it already
    }
    EXPECT_TRUE(voter.isUntouched());
    await([&] { return stateOf(comm) == signcclInvalidUsage; });
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr("NCCL in replays of a CUDA graph on rank 0"));
  });
}

TEST_F(NcclGraphFaultsTest, ARankThatNeverCapturesIsNamedAtTheDeadline) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    connect(comm);
    if (rank == 1) return;
    const auto graph = capture(voter, comm);
    await([&] { return stateOf(comm) == signcclTimeout; });
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr("ms for rank 1 in exchange number 1"));
  });
}

TEST_F(NcclGraphFaultsTest, ReplaysAfterTheCommunicatorWriteNothingAndWaitForNobody) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "60"}};
  std::optional<Ranks> ranks(std::in_place, 2);
  std::vector<std::unique_ptr<Voter>> voters(2);
  ranks->inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(rank);
    connect(comm);
  });
  for (int rank = 0; rank < 2; ++rank) voters[static_cast<std::size_t>(rank)] = std::make_unique<Voter>(rank, -1);
  for (int rank = 0; rank < 2; ++rank) {
    auto& voter = *voters[static_cast<std::size_t>(rank)];
    expectCuda(cuStreamBeginCapture_v2(voter.stream().get(), CudaCaptureMode::kRelaxed));
  }
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  for (int rank = 0; rank < 2; ++rank) ASSERT_EQ(voters[static_cast<std::size_t>(rank)]->vote((*ranks)[rank]), 0);
  ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
  std::vector<CudaGraphExec> execs;
  for (const auto& voter : voters) {
    CudaGraph graph = nullptr;
    expectCuda(cuStreamEndCapture(voter->stream().get(), &graph));
    expectCuda(cuGraphInstantiateWithFlags(&execs.emplace_back(), graph, 0));
    expectCuda(cuGraphDestroy(graph));
  }
  ranks.reset();
  for (std::size_t rank = 0; rank < 2; ++rank) {
    expectCuda(cuGraphLaunch(execs[rank], voters[rank]->stream().get()));  // that of the other rank comes later
    EXPECT_TRUE(voters[rank]->isUntouched());
    expectCuda(cuGraphExecDestroy(execs[rank]));
  }
  while (!voters.empty()) voters.pop_back();
}

TEST_F(NcclGraphFaultsTest, MemoryOfAGraphIsGivenBackWithIt) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    connect(comm);
    const auto free_bytes = [] {
      std::size_t free = 0;
      std::size_t total = 0;
      expectCuda(cuMemGetInfo_v2(&free, &total));
      return free;
    };
    capture(voter, comm);
    connect(comm);
    std::size_t before = 0;
    await([&] {
      useDeviceOnce();
      const std::size_t last = std::exchange(before, free_bytes());
      return before == last;
    });
    for (int i = 0; i < 5; ++i) capture(voter, comm)->launch(voter.stream());
    voter.stream().synchronize();
    await([&] {
      useDeviceOnce();
      return free_bytes() >= before;
    });
  });
}

/// A call is captured and replayed once, while the driver's call of a number fails. False if it made fewer calls.
bool failsCall(long number) {
  bool was_reached = true;
  {
    Ranks ranks(1);
    Voter voter(0, -1);
    connect(ranks[0]);
    expectCuda(cuStreamBeginCapture_v2(voter.stream().get(), CudaCaptureMode::kRelaxed));
    const long before = fake_cuda::callsMade();
    fake_cuda::failCall(number, CudaResult::kOutOfMemory);
    const signcclResult_t result = voter.vote(ranks[0]);
    fake_cuda::failCall(0, CudaResult::kSuccess);
    was_reached = fake_cuda::callsMade() - before >= number;
    CudaGraph graph = nullptr;
    CudaGraphExec exec = nullptr;
    expectCuda(cuStreamEndCapture(voter.stream().get(), &graph));
    expectCuda(cuGraphInstantiateWithFlags(&exec, graph, 0));
    expectCuda(cuGraphDestroy(graph));
    if (result == signcclSuccess) {
      expectCuda(cuGraphLaunch(exec, voter.stream().get()));
      EXPECT_TRUE(voter.hasResult(-1)) << "call " << number;
    }
    expectCuda(cuGraphExecDestroy(exec));
  }
  return was_reached;
}

TEST_F(NcclGraphFaultsTest, NoFailureOfTheDriverLeavesAnythingBehind) {
  failEveryCall(kSanitized ? 5 : 1, 10, [](long number) { return !failsCall(number); });
}

}  // namespace
}  // namespace signccl
