// SPDX-License-Identifier: Apache-2.0
// Lion steps whose votes NCCL carries give the bits that those in host memory give.
#include <atomic>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "nccl_job.h"
#include "stream/stream_lion_job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

const std::vector<ReferenceHyperparameters> kGroups = {{0.01, 0.9, 0.99, 0.1}, {1e-3, 0.95, 0.98, 0}};

/// Tensors of several types and sizes, in two groups, of which one is empty.
std::vector<LionShape> someShapes() {
  return {{1'000},
          {5'000, FloatType::kBFloat16, FloatType::kFloat32, FloatType::kBFloat16, 1},
          {0},
          {65, FloatType::kFloat16, FloatType::kFloat16, FloatType::kFloat16, 1},
          {4'099, FloatType::kBFloat16, FloatType::kBFloat16, FloatType::kBFloat16},
          {7}};
}

/// Makes steps of ranks that are threads, each with a device of its own, and compares everything after each.
void expectExact(int nranks, const ReferenceLionRules& rules, std::size_t bucket = 1'000, int nsteps = 2) {
  const LionReference reference(someShapes(), nranks, rules, 31);
  Ranks ranks(nranks);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(rank);
    AnyLionRank lion(reference, rank, rules, comm, true);
    LionReference mine = reference;
    const LionHyperparameters hyperparameters(kGroups);
    for (int step = 0; step < nsteps; ++step) {
      lion.step(mine, hyperparameters.config(), bucket);
      mine.step(kGroups, static_cast<std::uint64_t>(step));
      ASSERT_TRUE(lion.agreesWith(mine)) << nranks << " ranks, rank " << rank << ", step " << step << ", op "
                                         << static_cast<int>(rules.op) << ", ternary " << rules.is_ternary << ", tie "
                                         << static_cast<int>(rules.tie) << ", bucket " << bucket;
      mine.drawGradients();
    }
  });
}

/// With the schedule that an algorithm stands for, or, without one, that of the sizes.
class NcclLionExactnessTest : public NcclTest, public ::testing::WithParamInterface<const char*> {
 private:
  const Environment environment_{{"SIGNCCL_ALGO", GetParam()}};
};

TEST_P(NcclLionExactnessTest, StepsAreExactByEveryRule) {
  for (const int nranks : {1, 2, 3, 8}) {
    if (kSanitized && nranks != 3) continue;
    for (const bool is_ternary : {false, true}) {
      for (const TieRule tie : {TieRule::kZero, TieRule::kPositive, TieRule::kRandom}) {
        if ((kSanitized || nranks == 3 || nranks == 8) && tie != TieRule::kRandom) continue;
        expectExact(nranks, {SignOp::kVote, is_ternary, tie, tie == TieRule::kRandom, 5});
      }
      expectExact(nranks, {SignOp::kAvg, is_ternary});
      if (HasFailure()) return;
    }
  }
}

TEST_P(NcclLionExactnessTest, BucketsGiveWhatOneExchangeGives) {
  for (const std::size_t bucket : {1U, 2U, 3U}) {
    expectExact(3, {SignOp::kVote, false, TieRule::kRandom}, bucket);
    if (HasFailure()) return;
  }
}

TEST_P(NcclLionExactnessTest, SlicesChangeNothing) {
  const Environment slices{{"SIGNCCL_SLICE_BYTES", "128"}};
  for (const bool is_ternary : {false, true}) {
    expectExact(3, {SignOp::kVote, is_ternary, TieRule::kRandom}, 2);
    if (HasFailure()) return;
  }
}

TEST_P(NcclLionExactnessTest, FoundInfOfOneRankSkipsTheStepOnAllRanks) {
  for (const int nranks : {1, 3}) {
    const LionReference reference(someShapes(), nranks, {}, 32);
    Ranks ranks(nranks);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      const CurrentDevice current(rank);
      AnyLionRank lion(reference, rank, {}, comm, true);
      LionReference mine = reference;
      DeviceValues<float> found({0});
      const DeviceValues<int> skipped({99});
      const LionHyperparameters hyperparameters(kGroups);
      signcclLionStepConfig_t config = hyperparameters.config();
      config.foundInf = found.data();
      config.deviceSkipped = skipped.data();
      for (int step = 0; step < 2 * nranks; ++step) {
        const bool is_skipped = step % 2 == 1;
        const int finder = step / 2;
        found.set({is_skipped && finder == rank ? std::numeric_limits<float>::infinity() : 0.0F});
        lion.step(mine, config, 2);
        mine.step(kGroups, static_cast<std::uint64_t>(step), is_skipped ? std::vector{finder} : std::vector<int>{});
        ASSERT_TRUE(lion.agreesWith(mine)) << "rank " << rank << ", step " << step;
        lion.onDevice().stream().synchronize();
        EXPECT_EQ(skipped.get(), is_skipped ? 1 : 0);
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Schedules, NcclLionExactnessTest, ::testing::Values("oneshot", "direct"),
                         [](const auto& tested) { return std::string(tested.param); });

using NcclLionTest = NcclTest;

/// Submits a step with one tensor and ends it; the first error, which may come later, too.
signcclResult_t tryStep(AnyLionRank& lion, const LionReference& reference) {
  const LionHyperparameters hyperparameters({kGroups[0]});
  lion.begin(reference, hyperparameters.config());
  const signcclResult_t submitted = signcclLionSubmit(lion.lion(), 0, 1, lion.gradients());
  int done = 0;
  const signcclResult_t finished = signcclLionFinish(lion.lion(), -1, &done, nullptr);
  return submitted != signcclSuccess ? submitted : finished;
}

void awaitError(signcclComm_t comm, signcclResult_t expected) {
  signcclResult_t state = signcclInProgress;
  while (state == signcclSuccess || state == signcclInProgress) {
    ASSERT_EQ(signcclCommGetAsyncError(comm, &state), signcclSuccess);
    std::this_thread::yield();
  }
  EXPECT_EQ(state, expected);
}

TEST_F(NcclLionTest, AStepAndAVoteDoNotMix) {
  const LionReference reference({{100}}, 2, {}, 33);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(rank);
    AnyLionRank lion(reference, rank, {}, comm, true);
    const DeviceBuffer buffer(400);
    if (rank == 0) {
      tryStep(lion, reference);
    } else {
      callOn({}, buffer.data(), buffer.data(), 100, comm, lion.onDevice().stream().get());
    }
    awaitError(comm, signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr("a Lion step with"));
    lion.onDevice().stream().synchronize();
  });
}

TEST_F(NcclLionTest, RanksInHostMemoryAndOnDevicesDoNotMix) {
  const LionReference reference({{100}}, 2, {}, 34);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(rank);
    AnyLionRank lion(reference, rank, {}, comm, rank == 0);
    tryStep(lion, reference);
    awaitError(comm, signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr("what carries the votes"));
    if (rank == 0) lion.onDevice().stream().synchronize();
  });
}

/// So many ranks that a vote has to be counted before it is decided.
TEST_F(NcclLionTest, VetoesOfManyRanksReachAll) {
  constexpr int kRanks = 17;
  const Environment environment{{"NCCL_MULTI_RANK_GPU_ENABLE", "1"}};
  const LionReference reference({{100}}, kRanks, {}, 37);
  Ranks ranks(kRanks);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(rank % 8);
    AnyLionRank lion(reference, rank, {}, comm, true);
    LionReference mine = reference;
    DeviceValues<float> found({0});
    const LionHyperparameters hyperparameters({kGroups[0]});
    signcclLionStepConfig_t config = hyperparameters.config();
    config.foundInf = found.data();
    for (int step = 0; step < 3; ++step) {
      const bool is_skipped = step == 1;
      found.set({is_skipped && rank == kRanks - 1 ? 1.0F : 0.0F});
      lion.step(mine, config, 1);
      mine.step({kGroups[0]}, static_cast<std::uint64_t>(step),
                is_skipped ? std::vector{kRanks - 1} : std::vector<int>{});
      ASSERT_TRUE(lion.agreesWith(mine)) << "rank " << rank << ", step " << step;
    }
  });
}

/// The votes that never came are garbage once NCCL has aborted.
TEST_F(NcclLionTest, AnAbortLeavesParametersAsTheyWere) {
  for (const char* algorithm : {"oneshot", "direct"}) {
    const Environment environment{{"SIGNCCL_ALGO", algorithm}};
    const LionReference reference({{100}}, 3, {}, 36);
    Ranks ranks(3);
    std::atomic<int> nsteps = 0;
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      const CurrentDevice current(rank);
      AnyLionRank lion(reference, rank, {}, comm, true);
      LionReference mine = reference;
      ASSERT_EQ(tryStep(lion, mine), signcclSuccess) << signcclGetLastError(nullptr);
      mine.step({kGroups[0]}, 0);
      ASSERT_TRUE(lion.agreesWith(mine));
      if (rank == 2) {
        while (nsteps < 2) std::this_thread::yield();
        EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
        return;
      }
      tryStep(lion, mine);
      ++nsteps;
      lion.onDevice().stream().synchronize();
      EXPECT_TRUE(areEqual(lion.onDevice().parameters(0), mine.parameters(0))) << "rank " << rank;
    });
  }
}

TEST_F(NcclLionTest, ACaptureIsAskedToFollowACallThatConnectsTheRanks) {
  const LionReference reference({{100}}, 2, {}, 35);
  Ranks ranks(2);
  const CurrentDevice current(0);
  AnyLionRank lion(reference, 0, {}, ranks[0], true);
  const LionHyperparameters hyperparameters({kGroups[0]});
  signcclLionStepConfig_t config = hyperparameters.config();
  const Stream& stream = lion.onDevice().stream();
  config.stream = stream.get();
  expectCuda(cuStreamBeginCapture_v2(stream.get(), CudaCaptureMode::kRelaxed));
  EXPECT_EQ(signcclLionBegin(lion.lion(), &config), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("the first of the Lion steps on device memory"));
  CudaGraph graph = nullptr;
  expectCuda(cuStreamEndCapture(stream.get(), &graph));
  expectCuda(cuGraphDestroy(graph));
}

}  // namespace
}  // namespace signccl
