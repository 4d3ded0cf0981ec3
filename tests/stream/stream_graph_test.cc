// SPDX-License-Identifier: Apache-2.0
// Calls that are captured into CUDA graphs: what replays give, and in what order they come.
#include <atomic>
#include <barrier>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "graph_matrix.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

constexpr std::size_t kCount = 1'000;

std::vector<std::byte> bytesOf(float value) {
  const std::vector<float> elements(kCount, value);
  const auto bytes = std::as_bytes(std::span(elements));
  return {bytes.begin(), bytes.end()};
}

/// A rank's buffers and stream, for votes on kCount equal elements.
class Voter {
 public:
  Voter() : send_(kCount * sizeof(float)), recv_(kCount * sizeof(float)) {}

  [[nodiscard]] const Stream& stream() const { return stream_; }
  void set(float value) const { send_.put(bytesOf(value)); }
  void vote(signcclComm_t comm) const { voteOn(comm, stream_); }
  void voteOn(signcclComm_t comm, const Stream& stream) const {
    EXPECT_EQ(callOn({}, send_.data(), recv_.data(), kCount, comm, stream.get()), signcclSuccess)
        << signcclGetLastError(nullptr);
  }
  [[nodiscard]] bool hasResult(float value) const {
    stream_.synchronize();
    return recv_.get() == bytesOf(value);
  }

 private:
  DeviceBuffer send_;
  DeviceBuffer recv_;
  Stream stream_;
};

using StreamGraphTest = GraphTest;

TEST_F(StreamGraphTest, AThousandReplaysGiveWhatTheBuffersHoldByThen) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Voter voter;
    const Graph graph(voter.stream(), [&] { voter.vote(comm); });
    for (int replay = 0; replay < (kSanitized ? 50 : 1'000); ++replay) {
      const float value = replay % 3 == 0 ? -1.0F : 1.0F;
      voter.set(value);
      graph.launch(voter.stream());
      ASSERT_TRUE(voter.hasResult(value)) << "replay " << replay << ", rank " << rank;
    }
  });
}

TEST_F(StreamGraphTest, ACaptureCarriesNothingOut) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const Voter voter;
  voter.set(-1);
  const Graph graph(voter.stream(), [&] { voter.vote(ranks[0]); });
  EXPECT_FALSE(voter.hasResult(-1));
  std::uint64_t number = 0;
  EXPECT_EQ(signcclCommGetCallNumber(ranks[0], &number), signcclSuccess);
  EXPECT_EQ(number, 1U);
}

/// Ranks as threads, each on a device of its own as far as there are enough, replay a graph with all cases.
void expectExact(int nranks, std::size_t count, int nreplays, const std::vector<Case>& tested = graphCases()) {
  Ranks ranks(nranks);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(rank % 3);
    const Stream stream;
    const GraphMatrix matrix(nranks, count, tested);
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

TEST_F(StreamGraphTest, EveryRuleGivesTheReferenceResultWithTheNumbersOfTheReplays) {
  for (int nranks = 1; nranks <= 4; ++nranks) {
    if (kSanitized && nranks % 2 == 1) continue;
    expectExact(nranks, nranks == 3 ? 65 : 5'003, 3);
    if (HasFailure()) return;
  }
}

TEST_F(StreamGraphTest, LargeVectorsTravelInSlicesByCopies) {
  const Environment environment{{"SIGNCCL_SLICE_BYTES", "16384"}};
  expectExact(2, 530'001, 2,
              {{},
               {SignOp::kVote, signcclFloat32, signcclFloat32, signcclZeroTernary, signcclTieZero},
               {SignOp::kAvg, signcclFloat32, signcclBfloat16, signcclZeroBinary, signcclTieZero}});
}

TEST_F(StreamGraphTest, StreamsWaitByKernelsInGraphsToo) {
  const Environment environment{{"SIGNCCL_CUDA_WAIT", "kernel"}};
  expectExact(2, 1'003, 3);
}

TEST_F(StreamGraphTest, EagerCallsMayComeInAnotherOrderOnEveryHost) {
  begin(/*seed=*/11);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Voter replayed;
    const Voter eager;
    const Graph graph(replayed.stream(), [&] { replayed.vote(comm); });
    for (int turn = 0; turn < 30; ++turn) {
      const float value = turn % 2 == 0 ? 1.0F : -1.0F;
      replayed.set(value);
      eager.set(-value);
      if ((rank + turn) % 2 == 0) graph.launch(replayed.stream());
      eager.vote(comm);
      if (turn % 3 == 0) {
        float on_host = -value;
        ASSERT_EQ(call({}, &on_host, &on_host, 1, comm), signcclSuccess) << signcclGetLastError(nullptr);
        ASSERT_EQ(on_host, -value);
      }
      if ((rank + turn) % 2 != 0) graph.launch(replayed.stream());
      ASSERT_TRUE(eager.hasResult(-value)) << "turn " << turn << ", rank " << rank;
      ASSERT_TRUE(replayed.hasResult(value)) << "turn " << turn << ", rank " << rank;
    }
  });
}

TEST_F(StreamGraphTest, AnEagerCallBehindAReplayThatIsHeldBackWaitsForIt) {
  Ranks ranks(2);
  std::atomic<bool> may_go_on = false;
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Voter voter;
    voter.set(-1);
    const Graph graph(voter.stream(), [&] { voter.vote(comm); });
    if (rank == 1) {
      holdStream(voter.stream().get(), may_go_on);
    }
    graph.launch(voter.stream());
    voter.vote(comm);
    may_go_on = true;
    EXPECT_TRUE(voter.hasResult(-1)) << "rank " << rank;
  });
}

TEST_F(StreamGraphTest, GraphsTakeTurns) {
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Voter first;
    const Voter second;
    const Graph one(first.stream(), [&] { first.vote(comm); });
    const Graph other(first.stream(), [&] {
      second.voteOn(comm, first.stream());
      first.vote(comm);
    });
    for (int turn = 0; turn < 20; ++turn) {
      const float value = turn % 2 == 0 ? 1.0F : -1.0F;
      first.set(value);
      second.set(-value);
      for (const Graph* graph : {&one, &other, &other, &one}) {
        if (turn % 5 != 0 || graph == &other) graph->launch(first.stream());
      }
      ASSERT_TRUE(first.hasResult(value)) << "rank " << rank;
      ASSERT_TRUE(second.hasResult(-value)) << "rank " << rank;
    }
  });
}

TEST_F(StreamGraphTest, BranchesOfAGraphAreExchangedInTheOrderOfTheirCapture) {
  begin(/*seed=*/7);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(rank);
    const Voter voters[4];
    const Stream& origin = voters[0].stream();
    const Graph graph(origin, [&] {
      for (int i = 1; i < 4; ++i) fork(origin, voters[i].stream());
      voters[2].vote(comm);
      voters[0].vote(comm);
      EXPECT_EQ(signcclGroupStart(), signcclSuccess);
      voters[3].vote(comm);
      voters[1].vote(comm);
      EXPECT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
      for (int i = 1; i < 4; ++i) fork(voters[i].stream(), origin);
    });
    for (int replay = 0; replay < 30; ++replay) {
      for (int i = 0; i < 4; ++i) voters[i].set((replay + i) % 3 == 0 ? -1.0F : 1.0F);
      graph.launch(origin);
      origin.synchronize();
      for (int i = 0; i < 4; ++i) ASSERT_TRUE(voters[i].hasResult((replay + i) % 3 == 0 ? -1.0F : 1.0F));
    }
  });
}

TEST_F(StreamGraphTest, AGroupOfOneThreadCapturesSeveralRanks) {
  Ranks ranks(3);
  const CurrentDevice current(0);
  const Voter voters[3];
  std::vector<CudaGraphExec> execs;
  for (const Voter& voter : voters) {
    expectCuda(cuStreamBeginCapture_v2(voter.stream().get(), CudaCaptureMode::kGlobal));
  }
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  for (int rank = 0; rank < 3; ++rank) voters[rank].vote(ranks[rank]);
  ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
  for (const Voter& voter : voters) {
    CudaGraph graph = nullptr;
    expectCuda(cuStreamEndCapture(voter.stream().get(), &graph));
    execs.push_back(nullptr);
    expectCuda(cuGraphInstantiateWithFlags(&execs.back(), graph, 0));
    expectCuda(cuGraphDestroy(graph));
  }
  for (int replay = 0; replay < 5; ++replay) {
    for (int rank = 0; rank < 3; ++rank) voters[rank].set(rank == 0 ? 1.0F : -1.0F);
    for (int rank = 0; rank < 3; ++rank)
      expectCuda(cuGraphLaunch(execs[static_cast<std::size_t>(rank)], voters[rank].stream().get()));
    for (const Voter& voter : voters) EXPECT_TRUE(voter.hasResult(-1));
  }
  for (const CudaGraphExec exec : execs) expectCuda(cuGraphExecDestroy(exec));
}

TEST_F(StreamGraphTest, FirstCallsOfOtherThreadsLeaveACaptureAlone) {
  Ranks ranks(2);
  std::barrier both(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Voter voter;
    const Voter other;
    voter.set(-1);
    both.arrive_and_wait();
    // Capturing in the global mode, which forbids all threads to allocate, load kernels and ask for events.
    const Graph graph(
        voter.stream(),
        [&] {
          both.arrive_and_wait();
          voter.vote(comm);
          other.vote(comm);
          both.arrive_and_wait();
        },
        CudaCaptureMode::kGlobal);
    both.arrive_and_wait();
    graph.launch(voter.stream());
    EXPECT_TRUE(voter.hasResult(-1)) << "rank " << rank;
  });
}

TEST_F(StreamGraphTest, ReplaysAreExchangedWithoutACallOfCuda) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const Voter voter;
  const Graph graph(voter.stream(), [&] { voter.vote(ranks[0]); });
  const long before = fake_cuda::callsMade();
  constexpr int kReplays = 20;
  for (int replay = 0; replay < kReplays; ++replay) graph.launch(voter.stream());
  voter.stream().synchronize();
  EXPECT_EQ(fake_cuda::callsMade() - before, kReplays + 1);
}

TEST_F(StreamGraphTest, StatisticsCountReplays) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const Voter voter;
  const Graph graph(voter.stream(), [&] { voter.vote(ranks[0]); });
  voter.vote(ranks[0]);
  for (int replay = 0; replay < 3; ++replay) graph.launch(voter.stream());
  voter.stream().synchronize();
  signcclCommStats_t stats{};
  stats.size = sizeof(stats);
  await([&] {  // an exchange is over a moment after its stream has gone on
    return signcclCommGetStats(ranks[0], &stats) == signcclSuccess && stats.exchanges == 4;
  });
  EXPECT_EQ(stats.collectives, 4U);
}

TEST_F(StreamGraphTest, StatisticsCountTheMemoryOfGraphsUntilTheyAreGone) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const Voter voter;
  const std::uint64_t before = scratchBytes(ranks[0]);
  {
    const Graph graph(voter.stream(), [&] { voter.vote(ranks[0]); });
    EXPECT_GE(scratchBytes(ranks[0]), before + 512 + (kCount + 63) / 64 * 8);
  }
  await([&] { return scratchBytes(ranks[0]) == before; });
}

TEST_F(StreamGraphTest, SplitsAndGatheringsFollowACapture) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Voter voter;
    voter.set(-1);
    const Graph graph(voter.stream(), [&] { voter.vote(comm); });
    signcclComm_t half = nullptr;
    ASSERT_EQ(signcclCommSplit(comm, 0, rank, &half, nullptr), signcclSuccess) << signcclGetLastError(nullptr);
    char mine = static_cast<char>('a' + rank);
    char all[2] = {};
    EXPECT_EQ(signcclCommAllGather(&mine, all, 1, comm), signcclSuccess) << signcclGetLastError(nullptr);
    EXPECT_EQ(std::string(all, 2), "ab");
    graph.launch(voter.stream());
    EXPECT_TRUE(voter.hasResult(-1));
    EXPECT_EQ(signcclCommDestroy(half), signcclSuccess);
  });
}

}  // namespace
}  // namespace signccl
