// SPDX-License-Identifier: Apache-2.0
// What goes wrong with CUDA graphs: peers, deadlines, ends in any order, and CUDA itself. Every stream drains, and
// memory that a graph owned is given back.
#include <atomic>
#include <barrier>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "graph_job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::size_t kCount = 100'000;
constexpr std::byte kUntouched{0x77};

class StreamGraphFaultsTest : public GraphTest {
 protected:
  const Environment environment_{{"SIGNCCL_TIMEOUT", "1"}};
};

/// A vote on device memory whose outcome is looked at.
class Vote {
 public:
  explicit Vote(std::size_t count = kCount)
      : count_(count), send_(count * sizeof(float)), recv_(count * sizeof(float)) {
    const std::vector<float> values(count, -1.0F);
    send_.put(std::as_bytes(std::span(values)));
    clear();
  }
  void clear() const { recv_.put(std::vector<std::byte>(count_ * sizeof(float), kUntouched)); }
  signcclResult_t call(signcclComm_t comm) const {
    return callOn({}, send_.data(), recv_.data(), count_, comm, stream_.get());
  }
  /// A graph of one call, which goes well.
  [[nodiscard]] std::unique_ptr<Graph> capture(signcclComm_t comm) const {
    return std::make_unique<Graph>(stream_,
                                   [&] { EXPECT_EQ(call(comm), signcclSuccess) << signcclGetLastError(nullptr); });
  }
  [[nodiscard]] const Stream& stream() const { return stream_; }

  [[nodiscard]] bool isUntouched() const {
    stream_.synchronize();
    return recv_.get() == std::vector<std::byte>(count_ * sizeof(float), kUntouched);
  }
  [[nodiscard]] bool hasResult() const {
    stream_.synchronize();
    const std::vector<float> values(count_, -1.0F);
    const auto bytes = std::as_bytes(std::span(values));
    return std::ranges::equal(recv_.get(), bytes);
  }

 private:
  std::size_t count_;
  DeviceBuffer send_;
  DeviceBuffer recv_;
  Stream stream_;
};

signcclResult_t stateOf(signcclComm_t comm) {
  signcclResult_t state = signcclSuccess;
  EXPECT_EQ(signcclCommGetAsyncError(comm, &state), signcclSuccess);
  return state;
}

/// Bytes of the current device that are free.
std::size_t freeBytes() {
  std::size_t free = 0;
  std::size_t total = 0;
  expectCuda(cuMemGetInfo_v2(&free, &total));
  return free;
}

TEST_F(StreamGraphFaultsTest, AbortDrainsReplaysThatWaitAndThoseThatCome) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Vote vote;
    const auto graph = vote.capture(comm);
    graph->launch(vote.stream());
    EXPECT_TRUE(vote.hasResult());
    vote.clear();
    meet(comm);
    if (rank == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
    }
    for (int replay = 0; replay < 20; ++replay) graph->launch(vote.stream());
    EXPECT_TRUE(vote.isUntouched()) << "rank " << rank;
    EXPECT_EQ(stateOf(comm), signcclRemoteError);
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr("rank 1 aborted"));
    EXPECT_EQ(vote.call(comm), signcclRemoteError);
  });
}

TEST_F(StreamGraphFaultsTest, AReplayThatAPeerDoesNotMakeEndsAtTheDeadline) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Vote vote;
    const auto graph = vote.capture(comm);
    if (rank == 1) {
      await([&] { return stateOf(comm) != signcclSuccess; });
    } else {
      graph->launch(vote.stream());
    }
    EXPECT_TRUE(vote.isUntouched());
    EXPECT_EQ(stateOf(comm), signcclTimeout);
    EXPECT_THAT(signcclGetLastError(comm),
                AllOf(HasSubstr("replays of CUDA graphs"), HasSubstr("rank 0 waited 1000 ms for rank 1")));
  });
}

TEST_F(StreamGraphFaultsTest, ACaptureThatAPeerDoesNotMakeEndsAtTheDeadline) {
  Ranks ranks(2);
  const CurrentDevice current(0);
  const Vote vote;
  const auto graph = vote.capture(ranks[0]);
  graph->launch(vote.stream());
  EXPECT_TRUE(vote.isUntouched());
  for (int rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(stateOf(ranks[rank]), signcclTimeout);
    EXPECT_THAT(signcclGetLastError(ranks[rank]), HasSubstr("rank 1"));
  }
}

TEST_F(StreamGraphFaultsTest, RanksThatReplayDifferentGraphsAllLearnIt) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Vote vote;
    const auto one = vote.capture(comm);
    const auto other = vote.capture(comm);
    (rank == 0 ? one : other)->launch(vote.stream());
    EXPECT_TRUE(vote.isUntouched());
    EXPECT_EQ(stateOf(comm), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr("call number"));
  });
}

TEST_F(StreamGraphFaultsTest, RanksOfOneQueueEndAtTheDeadline) {
  begin(0, /*queues=*/1);
  Ranks ranks(2);
  std::barrier have_captured(2);  // a capture makes memory, which waits for replays that are under way
  ranks.inThreads([&](int /*rank*/, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Vote vote;
    const auto graph = vote.capture(comm);
    have_captured.arrive_and_wait();
    graph->launch(vote.stream());
    EXPECT_TRUE(vote.isUntouched());
    EXPECT_EQ(stateOf(comm), signcclTimeout);
  });
}

TEST_F(StreamGraphFaultsTest, ACallWhoseStreamIsAheadOfAnEarlierOneOfItsGraphWaitsUntilTheDeadline) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const Vote late;
  const Vote early;
  std::atomic<bool> may_go_on = false;
  const Graph graph(late.stream(), [&] {
    fork(late.stream(), early.stream());
    holdStream(late.stream().get(), may_go_on);
    EXPECT_EQ(signcclGroupStart(), signcclSuccess);
    EXPECT_EQ(late.call(ranks[0]), signcclSuccess);
    EXPECT_EQ(early.call(ranks[0]), signcclSuccess);
    EXPECT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
    fork(early.stream(), late.stream());
  });
  graph.launch(late.stream());
  await([&] { return stateOf(ranks[0]) == signcclTimeout; });
  EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("captured before"));
  may_go_on = true;
  EXPECT_TRUE(late.isUntouched() && early.isUntouched());
}

TEST_F(StreamGraphFaultsTest, DestroyingACommunicatorDoesNotWaitForRanksThatNeverCapture) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "300"}};
  Ranks ranks(2);
  const CurrentDevice current(0);
  const Vote vote;
  const auto graph = vote.capture(ranks[0]);
  EXPECT_EQ(signcclCommDestroy(ranks[0]), signcclSuccess);
  ranks[0] = nullptr;
  EXPECT_EQ(stateOf(ranks[1]), signcclRemoteError);
  EXPECT_THAT(signcclGetLastError(ranks[1]), HasSubstr("rank 0 destroyed its communicator before all ranks"));
  graph->launch(vote.stream());
  EXPECT_TRUE(vote.isUntouched());
}

/// A program that ends amid replays, without giving anything back. Its driver takes pinned memory away at exit.
[[noreturn]] void exitAmidReplays() {
  // Of static life, and so not lost for tools that look for leaks.
  static CurrentDevice* const current = new CurrentDevice(0);
  static Ranks* const ranks = new Ranks(1);
  static Vote* const vote = new Vote(64);
  static Graph* const graph = vote->capture((*ranks)[0]).release();
  for (int replay = 0; replay < 50; ++replay) graph->launch(vote->stream());
  static_cast<void>(current);
  std::exit(0);
}

TEST_F(StreamGraphFaultsTest, AProgramMayExitWithReplaysUnderWay) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(exitAmidReplays(), ::testing::ExitedWithCode(0), "");
}

/// A program whose communicator is of static life, and so ends after exit() has begun.
[[noreturn]] void destroyAfterExit() {
  static CurrentDevice* const current = new CurrentDevice(0);
  static const std::unique_ptr<Ranks> ranks = std::make_unique<Ranks>(1);
  static Vote* const vote = new Vote(64);
  static Graph* const graph = vote->capture((*ranks)[0]).release();
  graph->launch(vote->stream());
  static_cast<void>(current);
  std::exit(0);
}

TEST_F(StreamGraphFaultsTest, ACommunicatorWithGraphsMayBeDestroyedAfterExit) {
  if (kThreadSanitized) GTEST_SKIP() << "that the thread sleeps at the gate of exit() orders nothing for the sanitizer";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(destroyAfterExit(), ::testing::ExitedWithCode(0), "");
}

TEST_F(StreamGraphFaultsTest, ReplaysAfterTheEndOfTheCommunicatorWriteNothing) {
  const CurrentDevice current(0);
  const Vote vote;
  std::unique_ptr<Graph> graph;
  {
    Ranks ranks(1);
    graph = vote.capture(ranks[0]);
    graph->launch(vote.stream());
    EXPECT_TRUE(vote.hasResult());
  }
  vote.clear();
  for (int replay = 0; replay < 10; ++replay) graph->launch(vote.stream());
  EXPECT_TRUE(vote.isUntouched());
}

TEST_F(StreamGraphFaultsTest, MemoryOfAGraphIsFreedWhicheverEndsFirst) {
  const CurrentDevice current(0);
  const Vote vote(1'000'000);  // large enough to have memory on the device
  for (const bool graph_is_first : {true, false}) {
    std::optional<Ranks> ranks(1);
    EXPECT_EQ(vote.call((*ranks)[0]), signcclSuccess);
    vote.stream().synchronize();
    const std::size_t before = freeBytes();
    std::unique_ptr<Graph> graph = vote.capture((*ranks)[0]);
    EXPECT_LT(freeBytes(), before);
    graph->launch(vote.stream());
    EXPECT_TRUE(vote.hasResult());
    if (!graph_is_first) ranks.reset();
    graph->launch(vote.stream());
    graph.reset();
    ranks.reset();
    await([&] {
      useDeviceOnce();
      return freeBytes() >= before;
    });
  }
}

TEST_F(StreamGraphFaultsTest, GraphsThatComeAndGoTakeNoMoreMemory) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const Vote vote(1'000'000);
  vote.capture(ranks[0]).reset();
  const std::size_t before = freeBytes();
  for (int turn = 0; turn < 10; ++turn) {
    const auto graph = vote.capture(ranks[0]);
    graph->launch(vote.stream());
    EXPECT_TRUE(vote.hasResult());
  }
  await([&] {
    vote.capture(ranks[0]).reset();
    return freeBytes() >= before;
  });
}

TEST_F(StreamGraphFaultsTest, ACaptureThatIsGivenUpLeavesNothing) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const Vote vote(1'000'000);
  EXPECT_EQ(vote.call(ranks[0]), signcclSuccess);
  EXPECT_TRUE(vote.hasResult());
  const std::size_t before = freeBytes();
  for (int turn = 0; turn < 3; ++turn) {
    expectCuda(cuStreamBeginCapture_v2(vote.stream().get(), CudaCaptureMode::kThreadLocal));
    EXPECT_EQ(vote.call(ranks[0]), signcclSuccess);
    EXPECT_EQ(cuStreamSynchronize(vote.stream().get()), CudaResult::kStreamCaptureUnsupported);
    EXPECT_EQ(vote.call(ranks[0]), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("capture of the stream"));
    CudaGraph graph = nullptr;
    EXPECT_EQ(cuStreamEndCapture(vote.stream().get(), &graph), CudaResult::kStreamCaptureInvalidated);
  }
  vote.clear();
  EXPECT_EQ(vote.call(ranks[0]), signcclSuccess);
  EXPECT_TRUE(vote.hasResult());
  await([&] {
    useDeviceOnce();
    return freeBytes() >= before;
  });
}

/// Captures a call of two ranks while a call of CUDA fails, and replays what became of it. True if it was never
/// reached.
bool captureWithFailingCall(long number) {
  Ranks ranks(2);
  const Vote votes[2] = {Vote(1'000), Vote(1'000)};
  bool was_reached = false;
  std::vector<CudaGraphExec> execs;
  for (const Vote& vote : votes) {
    expectCuda(cuStreamBeginCapture_v2(vote.stream().get(), CudaCaptureMode::kThreadLocal));
  }
  const long before = fake_cuda::callsMade();
  fake_cuda::failCall(number, CudaResult::kOutOfMemory);
  signcclResult_t result = signcclGroupStart();
  for (int rank = 0; rank < 2 && result == signcclSuccess; ++rank) result = votes[rank].call(ranks[rank]);
  const signcclResult_t ended = signcclGroupEnd();
  if (result == signcclSuccess) result = ended;
  was_reached = fake_cuda::callsMade() - before >= number;
  fake_cuda::failCall(0, CudaResult::kSuccess);
  if (result != signcclSuccess) {
    EXPECT_STRNE(signcclGetLastError(nullptr), "") << "call " << number;
    for (int rank = 0; rank < 2; ++rank) signcclCommAbort(ranks[rank]);
  }
  for (const Vote& vote : votes) {
    CudaGraph graph = nullptr;
    CudaGraphExec exec = nullptr;
    expectCuda(cuStreamEndCapture(vote.stream().get(), &graph));
    expectCuda(cuGraphInstantiateWithFlags(&exec, graph, 0));
    expectCuda(cuGraphDestroy(graph));
    expectCuda(cuGraphLaunch(exec, vote.stream().get()));
    execs.push_back(exec);
  }
  for (const Vote& vote : votes) {
    EXPECT_TRUE(result == signcclSuccess ? vote.hasResult() : vote.isUntouched()) << "call " << number;
  }
  for (const CudaGraphExec exec : execs) expectCuda(cuGraphExecDestroy(exec));
  return !was_reached;
}

TEST_F(StreamGraphFaultsTest, WhateverCallOfCudaFailsInACaptureItsReplaysDrain) {
  const CurrentDevice current(0);
  Ranks ranks(1);
  const Vote vote(1);
  ASSERT_EQ(vote.call(ranks[0]), signcclSuccess);  // keeps the device ready
  failEveryCall(kSanitized ? 3 : 1, 20, captureWithFailingCall);
}

}  // namespace
}  // namespace signccl
