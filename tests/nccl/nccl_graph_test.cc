// SPDX-License-Identifier: Apache-2.0
// Calls over NCCL that are captured into CUDA graphs: replays give the bits of replays over a transport of the host.
#include <barrier>
#include <memory>
#include <string>
#include <vector>

#include "graph_test.h"
#include "stream/graph_matrix.h"
#include "stream/stream_lion_job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

/// Ranks as threads, each with a device, replay a graph with all cases.
void expectExact(int nranks, std::size_t count, int nreplays, const std::vector<Case>& tested = graphCases()) {
  Ranks ranks(nranks);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(rank);
    const Stream stream;
    const GraphMatrix matrix(nranks, count, tested);
    connect(comm);
    ASSERT_EQ(signcclCommSetCallNumber(comm, 40), signcclSuccess);
    const Graph graph(stream, [&] { matrix.enqueue(comm, stream); });
    for (int replay = 0; replay < nreplays; ++replay) {
      matrix.fill(rank, static_cast<std::uint64_t>(replay));
      graph.launch(stream);
      stream.synchronize();
      matrix.expectResult(40, static_cast<std::uint64_t>(replay));
    }
  });
}

TEST_F(NcclGraphTest, AThousandReplaysGiveWhatTheBuffersHoldByThen) {
  for (const int nranks : {1, 2, 4}) {
    if (kSanitized && nranks != 2) continue;
    Ranks ranks(nranks);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      Voter voter(rank, 1);
      connect(comm);
      const Graph graph(voter.stream(), [&] { EXPECT_EQ(voter.vote(comm), signcclSuccess); });
      for (int replay = 0; replay < (kSanitized ? 50 : 1'000); ++replay) {
        const float value = replay % 3 == 0 ? -1.0F : 1.0F;
        voter.set(value);
        graph.launch(voter.stream());
        ASSERT_TRUE(voter.hasResult(value)) << "replay " << replay << ", rank " << rank;
      }
    });
  }
}

/// With the schedule that an algorithm stands for, or, without one, that of the sizes.
class NcclGraphExactnessTest : public NcclGraphTest, public ::testing::WithParamInterface<const char*> {
 private:
  const Environment environment_{{"SIGNCCL_ALGO", GetParam()}};
};

TEST_P(NcclGraphExactnessTest, EveryRuleGivesTheReferenceResultWithTheNumbersOfTheReplays) {
  for (int nranks = 1; nranks <= 4; ++nranks) {
    if (kSanitized && nranks != 4) continue;
    expectExact(nranks, nranks == 3 ? 65 : 5'003, 3);
    if (HasFailure()) return;
  }
}

TEST_P(NcclGraphExactnessTest, SlicesChangeNothing) {
  const Environment slices{{"SIGNCCL_SLICE_BYTES", "64"}};
  for (const int nranks : {2, 3}) expectExact(nranks, 5'003, 2);
}

INSTANTIATE_TEST_SUITE_P(, NcclGraphExactnessTest, ::testing::Values("oneshot", "direct", ""), [](const auto& tested) {
  return *tested.param == '\0' ? "BySize" : std::string(tested.param);
});

TEST_F(NcclGraphTest, MoreVotesThanOneKernelDecidesHaveTheTiesOfTheReplay) {
  const Environment environment{{"NCCL_MULTI_RANK_GPU_ENABLE", "1"}, {"SIGNCCL_ALGO", "direct"}};
  Ranks ranks(9);
  const Case tested{SignOp::kVote, signcclFloat32, signcclBits, signcclZeroTernary, signcclTieRandom};
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(rank % 8);
    const Stream stream;
    const GraphMatrix matrix(9, 1'003, {tested});
    connect(comm);
    const Graph graph(stream, [&] { matrix.enqueue(comm, stream); });
    for (std::uint64_t replay = 0; replay < 2; ++replay) {
      matrix.fill(rank, replay);
      graph.launch(stream);
      stream.synchronize();
      matrix.expectResult(1, replay);
    }
  });
}

TEST_F(NcclGraphTest, ACaptureIsAskedToFollowACallThatConnectsTheRanks) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    const Graph empty(voter.stream(), [&] {
      EXPECT_EQ(voter.vote(comm), signcclInvalidUsage);
      EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("make one outside of the capture before it"));
    });
    EXPECT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
    EXPECT_TRUE(voter.hasResult(-1));
    voter.clear();
    const Graph graph(voter.stream(), [&] { EXPECT_EQ(voter.vote(comm), signcclSuccess); });
    EXPECT_TRUE(voter.isUntouched()) << "a capture carries nothing out";
    graph.launch(voter.stream());
    EXPECT_TRUE(voter.hasResult(-1));
  });
}

TEST_F(NcclGraphTest, EveryCaptureModeIsServed) {
  for (const auto mode : {CudaCaptureMode::kGlobal, CudaCaptureMode::kThreadLocal, CudaCaptureMode::kRelaxed}) {
    Ranks ranks(2);
    std::barrier both(2);  // what one rank captures globally forbids the other one to make or await streams
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      Voter voter(rank, -1);
      connect(comm);
      both.arrive_and_wait();
      const auto vote = [&] { EXPECT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr); };
      const Graph graph(voter.stream(), vote, mode);
      both.arrive_and_wait();
      graph.launch(voter.stream());
      EXPECT_TRUE(voter.hasResult(-1));
    });
  }
}

TEST_F(NcclGraphTest, OneThreadCapturesSeveralRanksInAGroup) {
  Ranks ranks(3);
  std::vector<std::unique_ptr<Voter>> voters;
  for (int rank = 0; rank < 3; ++rank) voters.push_back(std::make_unique<Voter>(rank, -1));
  const auto vote = [&] {
    ASSERT_EQ(signcclGroupStart(), signcclSuccess);
    for (int rank = 0; rank < 3; ++rank) ASSERT_EQ(voters[static_cast<std::size_t>(rank)]->vote(ranks[rank]), 0);
    ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
  };
  vote();
  for (const auto& voter : voters) {
    EXPECT_TRUE(voter->hasResult(-1));
    voter->clear();
    expectCuda(cuStreamBeginCapture_v2(voter->stream().get(), CudaCaptureMode::kRelaxed));
  }
  vote();
  std::vector<CudaGraphExec> execs;
  for (const auto& voter : voters) {
    CudaGraph graph = nullptr;
    expectCuda(cuStreamEndCapture(voter->stream().get(), &graph));
    expectCuda(cuGraphInstantiateWithFlags(&execs.emplace_back(), graph, 0));
    expectCuda(cuGraphDestroy(graph));
  }
  for (int replay = 0; replay < 3; ++replay) {
    for (std::size_t rank = 0; rank < 3; ++rank) expectCuda(cuGraphLaunch(execs[rank], voters[rank]->stream().get()));
    for (const auto& voter : voters) {
      EXPECT_TRUE(voter->hasResult(-1));
      voter->clear();
    }
  }
  for (const CudaGraphExec exec : execs) expectCuda(cuGraphExecDestroy(exec));
}

TEST_F(NcclGraphTest, CallsOnBranchesOfAGraphKeepTheirOrder) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter one(rank, -1);
    Voter other(rank, 1);
    connect(comm);
    const Graph graph(one.stream(), [&] {
      fork(one.stream(), other.stream());
      EXPECT_EQ(one.vote(comm), signcclSuccess);
      EXPECT_EQ(other.vote(comm), signcclSuccess);
      fork(other.stream(), one.stream());
    });
    for (int replay = 0; replay < 20; ++replay) {
      one.clear();
      other.clear();
      graph.launch(one.stream());
      EXPECT_TRUE(one.hasResult(-1));
      EXPECT_TRUE(other.hasResult(1));
    }
  });
}

TEST_F(NcclGraphTest, EagerCallsAndReplaysTakeTurnsOnOneStream) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    connect(comm);
    const Graph graph(voter.stream(), [&] { EXPECT_EQ(voter.vote(comm), signcclSuccess); });
    for (int turn = 0; turn < 20; ++turn) {
      const float value = turn % 3 == 0 ? 1.F : -1.F;
      voter.set(value);
      voter.clear();
      if (turn % 2 == 0) {
        graph.launch(voter.stream());
      } else {
        ASSERT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
      }
      ASSERT_TRUE(voter.hasResult(value)) << turn;
    }
  });
}

TEST_F(NcclGraphTest, TheStatisticsCountReplaysAndNoCaptures) {
  const Environment environment{{"SIGNCCL_ALGO", "oneshot"}};
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Voter voter(rank, -1);
    connect(comm);
    signcclCommStats_t stats{};
    stats.size = sizeof(stats);
    await([&] { return signcclCommGetStats(comm, &stats) == signcclSuccess && stats.exchanges == 1; });
    const std::uint64_t before = stats.bytesSent;
    {
      const Graph graph(voter.stream(), [&] { EXPECT_EQ(voter.vote(comm), signcclSuccess); });
      for (int replay = 0; replay < 5; ++replay) graph.launch(voter.stream());
      ASSERT_TRUE(voter.hasResult(-1));
      await([&] { return signcclCommGetStats(comm, &stats) == signcclSuccess && stats.exchanges == 6; });
    }
    // The graph has gone.
    ASSERT_EQ(signcclCommGetStats(comm, &stats), signcclSuccess);
    EXPECT_EQ(stats.exchanges, 6U);
    EXPECT_EQ(stats.collectives, 6U);
    EXPECT_EQ(stats.messagesSent, 6U * 2);
    EXPECT_EQ(stats.bytesSent - before, 5UL * 2 * 157 * 8);
  });
}

const std::vector<ReferenceHyperparameters> kGroups = {{0.01, 0.9, 0.99, 0.1}, {1e-3, 0.95, 0.98, 0}};

std::vector<LionShape> someShapes() {
  return {{1'000},
          {3'000, FloatType::kBFloat16, FloatType::kFloat32, FloatType::kBFloat16, 1},
          {0},
          {65, FloatType::kFloat16, FloatType::kFloat16, FloatType::kFloat16, 1}};
}

/// Captures one step, and compares everything after each replay.
void expectExactSteps(int nranks, const ReferenceLionRules& rules, int nreplays, std::size_t bucket) {
  const LionReference reference(someShapes(), nranks, rules, 21);
  Ranks ranks(nranks);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(rank);
    DeviceLionRank lion(reference, rank, rules, comm);
    LionReference mine = reference;
    lion.setGradients(mine.gradientsOf(rank));
    connect(comm);
    const LionHyperparameters hyperparameters(kGroups);
    const Graph graph(lion.stream(), [&] { stepInBuckets(lion, hyperparameters.config(), bucket); });
    for (int replay = 0; replay < nreplays; ++replay) {
      graph.launch(lion.stream());
      mine.step(kGroups, 1 + (static_cast<std::uint64_t>(replay) << 32U));
      ASSERT_TRUE(lion.agreesWith(mine, rank))
          << nranks << " ranks, rank " << rank << ", replay " << replay << ", op " << static_cast<int>(rules.op)
          << ", ternary " << rules.is_ternary << ", tie " << static_cast<int>(rules.tie) << ", bucket " << bucket;
      mine.drawNumbers();
      lion.refillGradients(mine.gradientsOf(rank));
    }
  });
}

TEST_P(NcclGraphExactnessTest, LionStepsAreExactWithTheNumbersOfTheReplays) {
  expectExactSteps(2, {SignOp::kVote, true, TieRule::kRandom, true, 0x1234'5678'9ABC'DEF0}, kSanitized ? 3 : 20, 2);
  expectExactSteps(3, {SignOp::kAvg, false}, 3, 1'000);
  expectExactSteps(1, {SignOp::kVote, true, TieRule::kRandom}, 3, 1);
}

}  // namespace
}  // namespace signccl
