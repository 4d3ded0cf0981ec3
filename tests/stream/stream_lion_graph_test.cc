// SPDX-License-Identifier: Apache-2.0
// Lion steps that are captured into CUDA graphs: every replay is a step of its own.
#include <barrier>
#include <limits>
#include <optional>
#include <vector>

#include <gmock/gmock.h>

#include "graph_job.h"
#include "stream_lion_job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

const std::vector<ReferenceHyperparameters> kGroups = {{0.01, 0.9, 0.99, 0.1}, {1e-3, 0.95, 0.98, 0}};

/// docs/semantics.md: a call that was captured as number c has number c + 2^32 r in replay r.
std::uint64_t numberOf(std::uint64_t call, std::uint64_t replay) { return call + (replay << 32U); }

/// Tensors of several types, in two groups, of which one is empty.
std::vector<LionShape> someShapes() {
  return {{1'000},
          {3'000, FloatType::kBFloat16, FloatType::kFloat32, FloatType::kBFloat16, 1},
          {0},
          {65, FloatType::kFloat16, FloatType::kFloat16, FloatType::kFloat16, 1},
          {7, FloatType::kBFloat16, FloatType::kBFloat16, FloatType::kBFloat16}};
}

/// Captures one step of ranks that are threads, and compares everything after each replay.
void expectExactReplays(int nranks, const ReferenceLionRules& rules, int nreplays, std::size_t bucket = 1'000) {
  const LionReference reference(someShapes(), nranks, rules, 21);
  Ranks ranks(nranks);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    DeviceLionRank lion(reference, rank, rules, comm);
    LionReference mine = reference;
    lion.setGradients(mine.gradientsOf(rank));
    const LionHyperparameters hyperparameters(kGroups);
    const Graph graph(lion.stream(), [&] { stepInBuckets(lion, hyperparameters.config(), bucket); });
    for (int replay = 0; replay < nreplays; ++replay) {
      graph.launch(lion.stream());
      mine.step(kGroups, numberOf(0, static_cast<std::uint64_t>(replay)));
      ASSERT_TRUE(lion.agreesWith(mine, rank))
          << nranks << " ranks, rank " << rank << ", replay " << replay << ", op " << static_cast<int>(rules.op)
          << ", ternary " << rules.is_ternary << ", tie " << static_cast<int>(rules.tie) << ", bucket " << bucket;
      mine.drawNumbers();
      lion.refillGradients(mine.gradientsOf(rank));
    }
  });
}

using StreamLionGraphTest = GraphTest;

TEST_F(StreamLionGraphTest, ReplaysAreStepsByEveryRule) {
  for (const bool is_ternary : {false, true}) {
    expectExactReplays(2, {SignOp::kVote, is_ternary, TieRule::kRandom}, 3);
    expectExactReplays(3, {SignOp::kAvg, is_ternary}, 3);
    if (HasFailure()) return;
  }
}

TEST_F(StreamLionGraphTest, StochasticRoundingAndTiesAreThoseOfTheNumberOfTheReplay) {
  const ReferenceLionRules rules{SignOp::kVote, true, TieRule::kRandom, true, 0x1234'5678'9ABC'DEF0};
  expectExactReplays(2, rules, kSanitized ? 4 : 40);
}

TEST_F(StreamLionGraphTest, BucketsGiveWhatOneExchangeGives) {
  for (const std::size_t bucket : {1U, 2U}) expectExactReplays(2, {}, 3, bucket);
}

TEST_F(StreamLionGraphTest, AThousandReplaysGiveTheSameBits) {
  expectExactReplays(2, {SignOp::kVote, false, TieRule::kRandom, true, 3}, kSanitized ? 20 : 1'000);
}

TEST_F(StreamLionGraphTest, LearningRatesAndDecaysAreThoseOfDeviceMemoryAtTheReplay) {
  const LionReference reference(someShapes(), 2, {}, 22);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    DeviceLionRank lion(reference, rank, {}, comm);
    LionReference mine = reference;
    lion.setGradients(mine.gradientsOf(rank));
    DeviceValues<float> rates({0, 0});
    DeviceValues<float> decays({0, 0});
    std::optional<LionHyperparameters> captured(LionHyperparameters({{0, 0.9, 0.99, 0}, {0, 0.8, 0.9, 0}}));
    signcclLionStepConfig_t config = captured->config();
    config.deviceLearningRates = rates.data();
    config.deviceWeightDecays = decays.data();
    config.learningRates = config.weightDecays = nullptr;
    const Graph graph(lion.stream(), [&] { stepInBuckets(lion, config); });
    captured.reset();  // the graph has what the host knew
    for (std::uint64_t replay = 0; replay < 3; ++replay) {
      const float value = 1.0F / static_cast<float>(2ULL << replay);
      rates.set({value, value / 2});
      decays.set({value / 4, value / 8});
      graph.launch(lion.stream());
      mine.step({{value, 0.9, 0.99, value / 4}, {value / 2, 0.8, 0.9, value / 8}}, numberOf(0, replay));
      ASSERT_TRUE(lion.agreesWith(mine, rank)) << "rank " << rank << ", replay " << replay;
    }
  });
}

TEST_F(StreamLionGraphTest, FoundInfOfOneRankSkipsTheReplayOnAllRanks) {
  const LionReference reference(someShapes(), 3, {}, 23);
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    DeviceLionRank lion(reference, rank, {}, comm);
    LionReference mine = reference;
    lion.setGradients(mine.gradientsOf(rank));
    DeviceValues<float> found({0});
    const DeviceValues<int> skipped({99});
    const LionHyperparameters hyperparameters(kGroups);
    signcclLionStepConfig_t config = hyperparameters.config();
    config.foundInf = found.data();
    config.deviceSkipped = skipped.data();
    const Graph graph(lion.stream(), [&] { stepInBuckets(lion, config, 2); });
    for (int replay = 0; replay < 6; ++replay) {
      const bool is_skipped = replay % 2 == 1;
      const int finder = replay / 2;
      found.set({is_skipped && finder == rank ? std::numeric_limits<float>::infinity() : 0.0F});
      graph.launch(lion.stream());
      mine.step(kGroups, numberOf(0, static_cast<std::uint64_t>(replay)),
                is_skipped ? std::vector{finder} : std::vector<int>{});
      ASSERT_TRUE(lion.agreesWith(mine, rank)) << "rank " << rank << ", replay " << replay;
      EXPECT_EQ(skipped.get(), is_skipped ? 1 : 0);
    }
  });
}

TEST_F(StreamLionGraphTest, StepsOutsideOfTheGraphAndReplaysTakeTurns) {
  const ReferenceLionRules rules{SignOp::kVote, false, TieRule::kRandom, true, 9};
  const LionReference reference(someShapes(), 2, rules, 24);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    DeviceLionRank lion(reference, rank, rules, comm);
    LionReference mine = reference;
    lion.setGradients(reference.gradientsOf(rank));  // they stay, since the graph reads them
    const LionHyperparameters first(kGroups);
    const std::vector<ReferenceHyperparameters> other_groups = {{0.5, 0.5, 0.5, 0.5}, {0.25, 0.75, 0.125, 0}};
    const LionHyperparameters other(other_groups);
    const Graph graph(lion.stream(), [&] { stepInBuckets(lion, first.config()); });
    lion.setGradients(mine.gradientsOf(rank));  // elsewhere
    for (std::uint64_t turn = 0; turn < 4; ++turn) {
      graph.launch(lion.stream());
      mine.step(kGroups, numberOf(0, turn));
      stepInBuckets(lion, other.config());
      mine.step(other_groups, turn + 1);
      ASSERT_TRUE(lion.agreesWith(mine, rank)) << "rank " << rank << ", turn " << turn;
    }
  });
}

TEST_F(StreamLionGraphTest, TheGraphLivesOnWithoutTheLionObject) {
  const LionReference reference(someShapes(), 2, {}, 25);
  Ranks ranks(2);
  std::barrier captured(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    DeviceLionRank lion(reference, rank, {}, comm);
    LionReference mine = reference;
    lion.setGradients(mine.gradientsOf(rank));
    const LionHyperparameters hyperparameters(kGroups);
    const Graph graph(lion.stream(), [&] { stepInBuckets(lion, hyperparameters.config(), 1); });
    captured.arrive_and_wait();  // what is destroyed is freed by the next capture, which waits for all streams
    lion.destroy();
    for (std::uint64_t replay = 0; replay < 3; ++replay) {
      graph.launch(lion.stream());
      mine.step(kGroups, numberOf(0, replay));
      ASSERT_TRUE(lion.agreesWith(mine, rank)) << "rank " << rank << ", replay " << replay;
    }
  });
}

TEST_F(StreamLionGraphTest, ALionObjectMayBeMadeAndDestroyedAmidACapture) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const DeviceBuffer parameters(400);
  const DeviceBuffer momenta(400);
  void* const parameter_addresses[] = {parameters.data()};
  void* const momentum_addresses[] = {momenta.data()};
  const std::size_t counts[] = {100};
  signcclLionConfig_t config = SIGNCCL_LION_CONFIG_INITIALIZER;
  config.tensorCount = 1;
  config.parameters = parameter_addresses;
  config.momenta = momentum_addresses;
  config.counts = counts;
  const LionHyperparameters hyperparameters({kGroups[0]});
  const Stream stream;
  const Stream captured;
  for (const CudaCaptureMode mode : {CudaCaptureMode::kGlobal, CudaCaptureMode::kThreadLocal}) {
    for (int object = 0; object < 2; ++object) {
      signcclLion_t lion = nullptr;
      // Frees what the last object has left.
      const auto make = [&] {
        EXPECT_EQ(signcclLionCreate(&lion, &config, ranks[0]), signcclSuccess) << signcclGetLastError(nullptr);
      };
      const Graph made(captured, make, mode);
      signcclLionStepConfig_t step = hyperparameters.config();
      step.stream = stream.get();
      const void* const gradients[] = {nullptr};
      ASSERT_EQ(signcclLionStep(lion, &step, gradients, nullptr), signcclSuccess) << signcclGetLastError(nullptr);
      stream.synchronize();
      const auto destroy = [&] { EXPECT_EQ(signcclLionDestroy(lion), signcclSuccess) << signcclGetLastError(nullptr); };
      const Graph destroyed(captured, destroy, mode);
    }
  }
}

TEST_F(StreamLionGraphTest, ParametersDoNotChangeInReplaysAfterAFailure) {
  const LionReference reference(someShapes(), 1, {}, 26);
  Ranks ranks(1);
  const CurrentDevice current(0);
  DeviceLionRank lion(reference, 0, {}, ranks[0]);
  LionReference mine = reference;
  lion.setGradients(mine.gradientsOf(0));
  const LionHyperparameters hyperparameters(kGroups);
  const Graph graph(lion.stream(), [&] { stepInBuckets(lion, hyperparameters.config()); });
  graph.launch(lion.stream());
  mine.step(kGroups, 0);
  ASSERT_TRUE(lion.agreesWith(mine, 0));
  ASSERT_EQ(signcclCommAbort(ranks[0]), signcclSuccess);
  graph.launch(lion.stream());
  lion.stream().synchronize();
  for (std::size_t i = 0; i < lion.ntensors(); ++i) EXPECT_TRUE(areEqual(lion.parameters(i), mine.parameters(i)));
}

TEST_F(StreamLionGraphTest, RanksThatCapturedOtherHyperparametersGetAnError) {
  const LionReference reference(someShapes(), 2, {}, 27);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    DeviceLionRank lion(reference, rank, {}, comm);
    lion.setGradients(reference.gradientsOf(rank));
    const LionHyperparameters hyperparameters({{0.01 + rank, 0.9, 0.99, 0.1}, kGroups[1]});
    const Graph graph(lion.stream(), [&] { stepInBuckets(lion, hyperparameters.config()); });
    graph.launch(lion.stream());
    lion.stream().synchronize();
    signcclResult_t state = signcclSuccess;
    ASSERT_EQ(signcclCommGetAsyncError(comm, &state), signcclSuccess);
    EXPECT_EQ(state, signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr("the learning rate"));
    for (std::size_t i = 0; i < lion.ntensors(); ++i)
      EXPECT_TRUE(areEqual(lion.parameters(i), reference.parameters(i)));
  });
}

/// Captures a step in two buckets while a call of CUDA fails, and replays what became of it. True if it was never
/// reached.
bool captureWithFailingCall(long number) {
  const std::vector<ReferenceHyperparameters> group = {kGroups[0]};
  LionReference reference({{100}, {70}}, 1, {}, 29);
  Ranks ranks(1);
  DeviceLionRank lion(reference, 0, {}, ranks[0]);
  lion.setGradients(reference.gradientsOf(0));
  const DeviceValues<int> skipped({99});
  const LionHyperparameters hyperparameters(group);
  signcclLionStepConfig_t config = hyperparameters.config();
  config.stream = lion.stream().get();
  config.deviceSkipped = skipped.data();
  bool was_reached = false;
  signcclResult_t result = signcclSuccess;
  const auto attempt = [&](signcclResult_t code) {
    if (result == signcclSuccess) result = code;
  };
  const Graph graph(lion.stream(), [&] {
    const long before = fake_cuda::callsMade();
    fake_cuda::failCall(number, CudaResult::kOutOfMemory);
    attempt(signcclLionBegin(lion.lion(), &config));
    for (std::size_t i = 0; i < 2 && result == signcclSuccess; ++i) {
      attempt(signcclLionSubmit(lion.lion(), i, 1, lion.gradients() + i));
    }
    int done = 0;
    attempt(signcclLionFinish(lion.lion(), -1, &done, nullptr));
    was_reached = fake_cuda::callsMade() - before >= number;
    fake_cuda::failCall(0, CudaResult::kSuccess);
  });
  graph.launch(lion.stream());
  lion.stream().synchronize();
  if (result == signcclSuccess) {
    reference.step(group, 0);
    EXPECT_TRUE(lion.agreesWith(reference, 0)) << "call " << number;
  } else {
    EXPECT_STRNE(signcclGetLastError(nullptr), "") << "call " << number;
    for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE(areEqual(lion.parameters(i), reference.parameters(i))) << number;
  }
  return !was_reached;
}

TEST_F(StreamLionGraphTest, WhateverCallOfCudaFailsInACaptureItsReplaysDrain) {
  const CurrentDevice current(0);
  Ranks ranks(1);
  const Stream stream;
  const DeviceBuffer buffer(4);
  ASSERT_EQ(callOn({}, buffer.data(), buffer.data(), 1, ranks[0], stream.get()), signcclSuccess);  // keeps the device
  failEveryCall(kSanitized ? 3 : 1, 20, captureWithFailingCall);
}

}  // namespace
}  // namespace signccl
