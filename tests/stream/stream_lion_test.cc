// SPDX-License-Identifier: Apache-2.0
// How Lion steps on streams behave: what they read and when, who may skip them, and what may be mixed with them.
#include <limits>
#include <memory>
#include <vector>

#include <gmock/gmock.h>

#include "stream_lion_job.h"

namespace signccl {
namespace {

const std::vector<ReferenceHyperparameters> kGroups = {{0.1, 0.9, 0.99, 0.1}};

using StreamLionTest = StreamTest;

TEST_F(StreamLionTest, OneThreadDrivesSeveralRanksWhoseStreamsShareAQueue) {
  fake_cuda::Config config;
  config.queues = 1;
  begin(config);
  const std::vector<LionShape> shapes = {{100}, {300, FloatType::kBFloat16}, {7}};
  LionReference reference(shapes, 4, {}, 8);
  Ranks ranks(4);
  const CurrentDevice current(0);
  std::vector<std::unique_ptr<AnyLionRank>> lions;
  for (int rank = 0; rank < 4; ++rank) {
    lions.push_back(std::make_unique<AnyLionRank>(reference, rank, ReferenceLionRules{}, ranks[rank], true));
  }
  for (int step = 0; step < 5; ++step) {
    reference.drawGradients();
    const LionHyperparameters hyperparameters(kGroups);
    for (const auto& lion : lions) lion->begin(reference, hyperparameters.config());
    for (std::size_t tensor = 0; tensor < shapes.size(); ++tensor) {
      for (const auto& lion : lions) {
        ASSERT_EQ(signcclLionSubmit(lion->lion(), tensor, 1, lion->gradients() + tensor), signcclSuccess);
      }
    }
    for (const auto& lion : lions) lion->finish();
    reference.step(kGroups, static_cast<std::uint64_t>(step));
    for (const auto& lion : lions) ASSERT_TRUE(lion->agreesWith(reference)) << "step " << step;
  }
}

/// Many steps with other hyperparameters each, on two streams in turn, which nobody waits for.
TEST_F(StreamLionTest, TheHostMayBeManyStepsAhead) {
  fake_cuda::Config config;
  config.seed = 9;
  begin(config);
  const std::vector<LionShape> shapes = {{500, FloatType::kBFloat16}, {77}};
  const ReferenceLionRules rules{.rounds_stochastically = true, .rounding_seed = 5};
  LionReference reference(shapes, 2, rules, 9);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    DeviceLionRank lion(reference, rank, rules, comm);
    const Stream other;
    lion.setGradients(reference.gradientsOf(rank));
    for (int step = 0; step < 40; ++step) {
      const LionHyperparameters hyperparameters({{1e-3 * step, 0.9, 0.99 - 1e-3 * step, 0.1}});
      signcclLionStepConfig_t given = hyperparameters.config();
      given.stream = step % 3 == 2 ? other.get() : lion.stream().get();
      ASSERT_EQ(signcclLionStep(lion.lion(), &given, lion.gradients(), nullptr), signcclSuccess)
          << signcclGetLastError(nullptr);
    }
    other.synchronize();
    lion.stream().synchronize();
    LionReference mine = reference;
    for (int step = 0; step < 40; ++step) {
      mine.step({{1e-3 * step, 0.9, 0.99 - 1e-3 * step, 0.1}}, static_cast<std::uint64_t>(step));
    }
    EXPECT_TRUE(lion.agreesWith(mine, rank)) << "rank " << rank;
  });
}

TEST_F(StreamLionTest, LearningRatesAndDecaysAreReadFromDeviceMemoryInTheOrderOfTheStream) {
  const std::vector<LionShape> shapes = {{500}, {77, FloatType::kFloat16, FloatType::kFloat16, FloatType::kFloat16, 1}};
  LionReference reference(shapes, 2, {}, 10);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    DeviceLionRank lion(reference, rank, {}, comm);
    lion.setGradients(reference.gradientsOf(rank));
    const DeviceValues<float> rates({0, 0});
    const DeviceValues<float> decays({0, 0});
    const DeviceValues<float> steps({0.5F, 0.25F, 0.125F, 0.0625F});
    const LionHyperparameters hyperparameters({{0, 0.9, 0.99, 0}, {0, 0.8, 0.9, 0}});
    signcclLionStepConfig_t config = hyperparameters.config();
    config.stream = lion.stream().get();
    config.deviceLearningRates = rates.data();
    config.deviceWeightDecays = decays.data();
    config.learningRates = config.weightDecays = nullptr;
    LionReference mine = reference;
    for (std::uint64_t step = 0; step < 3; ++step) {
      for (const DeviceValues<float>* values : {&rates, &decays}) {
        expectCuda(cuMemcpyAsync(reinterpret_cast<CudaDevicePointer>(values->data()),
                                 reinterpret_cast<CudaDevicePointer>(steps.data() + step), 2 * sizeof(float),
                                 lion.stream().get()));
      }
      ASSERT_EQ(signcclLionStep(lion.lion(), &config, lion.gradients(), nullptr), signcclSuccess)
          << signcclGetLastError(nullptr);
      const double value = 1.0 / static_cast<double>(2ULL << step);
      mine.step({{value, 0.9, 0.99, value}, {value / 2, 0.8, 0.9, value / 2}}, step);
    }
    EXPECT_TRUE(lion.agreesWith(mine, rank)) << "rank " << rank;
  });
}

/// A rank with an infinite gradient keeps its momenta, and nobody's parameters change. One rank is in host memory.
TEST_F(StreamLionTest, FoundInfOfOneRankKeepsEverybodysParametersAndItsOwnMomenta) {
  const std::vector<LionShape> shapes = {{500}, {3'000, FloatType::kBFloat16}, {5}};
  constexpr int kHost = 2;
  for (const int finder : {0, 1, kHost}) {
    LionReference reference(shapes, 3, {}, 11);
    Ranks ranks(3);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      const CurrentDevice current(0);
      AnyLionRank lion(reference, rank, {}, comm, rank != kHost);
      DeviceValues<float> found({-0.0F});
      const DeviceValues<int> skipped({99});
      const LionHyperparameters hyperparameters(kGroups);
      LionReference mine = reference;
      for (int step = 0; step < 3; ++step) {
        const bool is_skipped = step == 1;
        signcclLionStepConfig_t config = hyperparameters.config();
        if (rank == kHost) {
          config.skip = is_skipped && rank == finder ? 1 : 0;
        } else {
          config.foundInf = found.data();
          config.deviceSkipped = skipped.data();
          found.set({is_skipped && rank == finder ? std::numeric_limits<float>::quiet_NaN() : -0.0F});
        }
        lion.begin(mine, config);
        for (std::size_t tensor = 0; tensor < shapes.size(); ++tensor) {
          ASSERT_EQ(signcclLionSubmit(lion.lion(), tensor, 1, lion.gradients() + tensor), signcclSuccess);
        }
        lion.finish(is_skipped ? 1 : 0);
        mine.step(kGroups, static_cast<std::uint64_t>(step), is_skipped ? std::vector{finder} : std::vector<int>{});
        ASSERT_TRUE(lion.agreesWith(mine)) << "rank " << rank << ", step " << step << ", finder " << finder;
        if (rank != kHost) {
          EXPECT_EQ(skipped.get(), is_skipped ? 1 : 0) << "rank " << rank << ", step " << step;
        }
      }
    });
  }
}

TEST_F(StreamLionTest, ARankMaySkipByTheHostsWordToo) {
  const std::vector<LionShape> shapes = {{500}};
  LionReference reference(shapes, 2, {}, 12);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    AnyLionRank lion(reference, rank, {}, comm, true);
    const LionHyperparameters hyperparameters(kGroups);
    signcclLionStepConfig_t config = hyperparameters.config();
    config.skip = rank;
    LionReference mine = reference;
    lion.step(mine, config, 1);
    mine.step(kGroups, 0, {1});
    EXPECT_TRUE(lion.agreesWith(mine));
    unsigned char changed = 99;
    EXPECT_EQ(signcclLionGetChanged(lion.lion(), &changed), signcclSuccess);
    EXPECT_EQ(changed, rank == 1 ? 0 : 1) << "the host of the other rank cannot know";
  });
}

TEST_F(StreamLionTest, BucketsWithoutElementsTellThatAStepIsSkipped) {
  const std::vector<LionShape> shapes = {{0}, {10}, {0}};
  LionReference reference(shapes, 2, {}, 13);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    AnyLionRank lion(reference, rank, {}, comm, true);
    const DeviceValues<int> skipped({99});
    const LionHyperparameters hyperparameters(kGroups);
    signcclLionStepConfig_t config = hyperparameters.config();
    config.deviceSkipped = skipped.data();
    for (const int skip : {0, 1, 0}) {
      config.skip = rank == 0 ? skip : 0;
      lion.begin(reference, config);
      ASSERT_EQ(signcclLionSubmit(lion.lion(), 2, 1, lion.gradients() + 2), signcclSuccess);
      lion.finish();
      lion.onDevice().stream().synchronize();
      EXPECT_EQ(skipped.get(), skip);
    }
    lion.begin(reference, config);  // and one without buckets
    lion.finish();
    EXPECT_TRUE(lion.agreesWith(reference)) << "tensors of no bucket stay as they are";
    EXPECT_EQ(skipped.get(), 0);
  });
}

TEST_F(StreamLionTest, StepsAndCollectivesMayBeMixed) {
  const std::vector<LionShape> shapes = {{500}, {40}};
  LionReference reference(shapes, 2, {}, 14);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    AnyLionRank lion(reference, rank, {}, comm, true);
    const LionHyperparameters hyperparameters(kGroups);
    const DeviceValues<float> vote({-3.0F});
    const CudaStream stream = lion.onDevice().stream().get();
    LionReference mine = reference;
    for (std::uint64_t step = 0; step < 3; ++step) {
      lion.begin(mine, hyperparameters.config());
      ASSERT_EQ(signcclLionSubmit(lion.lion(), 0, 1, lion.gradients()), signcclSuccess);
      ASSERT_EQ(callOn({}, vote.data(), vote.data(), 1, comm, stream), signcclSuccess) << signcclGetLastError(nullptr);
      ASSERT_EQ(signcclLionSubmit(lion.lion(), 1, 1, lion.gradients() + 1), signcclSuccess);
      lion.finish();
      mine.step(kGroups, 2 * step);
      ASSERT_TRUE(lion.agreesWith(mine));
      EXPECT_EQ(vote.get(), -1.0F);
    }
  });
}

TEST_F(StreamLionTest, ABucketThatWasSubmittedIsDecodedThoughALaterOneIsRefused) {
  LionReference reference({{500}, {40}}, 1, {}, 17);
  Ranks ranks(1);
  const CurrentDevice current(0);
  AnyLionRank lion(reference, 0, {}, ranks[0], true);
  const CudaStream stream = lion.onDevice().stream().get();
  const LionHyperparameters hyperparameters(kGroups);
  lion.begin(reference, hyperparameters.config());
  ASSERT_EQ(signcclLionSubmit(lion.lion(), 0, 1, lion.gradients()), signcclSuccess);
  expectCuda(cuStreamBeginCapture_v2(stream, CudaCaptureMode::kRelaxed));
  EXPECT_EQ(signcclLionSubmit(lion.lion(), 1, 1, lion.gradients() + 1), signcclInvalidUsage);
  CudaGraph graph = nullptr;
  expectCuda(cuStreamEndCapture(stream, &graph));
  expectCuda(cuGraphDestroy(graph));
  int done = 0;
  EXPECT_EQ(signcclLionFinish(lion.lion(), -1, &done, nullptr), signcclInvalidUsage);
  unsigned char changed[2] = {9, 9};
  EXPECT_EQ(signcclLionGetChanged(lion.lion(), changed), signcclSuccess);
  EXPECT_THAT(changed, ::testing::ElementsAre(1, 0));
  LionReference after = reference;
  after.step(kGroups, 0);
  lion.onDevice().stream().synchronize();
  EXPECT_TRUE(areEqual(lion.onDevice().parameters(0), after.parameters(0)));
  EXPECT_TRUE(areEqual(lion.onDevice().momenta(0), after.momenta(0, 0)));
  EXPECT_TRUE(areEqual(lion.onDevice().parameters(1), reference.parameters(1)));
  EXPECT_TRUE(areEqual(lion.onDevice().momenta(1), reference.momenta(1, 0)));
}

TEST_F(StreamLionTest, AnObjectMayBeDestroyedBeforeItsStreamHasComeToTheStep) {
  fake_cuda::Config config;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    config.seed = seed;
    begin(config);
    LionReference reference({{500}, {77}}, 1, {}, seed);
    const CurrentDevice current(0);
    Ranks ranks(1);
    DeviceLionRank lion(reference, 0, {}, ranks[0]);
    lion.setGradients(reference.gradientsOf(0));
    const LionHyperparameters hyperparameters(kGroups);
    signcclLionStepConfig_t step = hyperparameters.config();
    step.stream = lion.stream().get();
    if (seed % 2 == 0) {
      ASSERT_EQ(signcclLionStep(lion.lion(), &step, lion.gradients(), nullptr), signcclSuccess);
    } else {
      ASSERT_EQ(signcclLionBegin(lion.lion(), &step), signcclSuccess);
      ASSERT_EQ(signcclLionSubmit(lion.lion(), 0, 2, lion.gradients()), signcclSuccess);
    }
    if (seed % 4 == 0) {  // nor does it mind that its communicator goes first
      EXPECT_EQ(signcclCommDestroy(ranks[0]), signcclSuccess);
      ranks[0] = nullptr;
    }
    lion.destroy();
    reference.step(kGroups, 0);
    EXPECT_TRUE(lion.agreesWith(reference, 0));
    // What it had to leave to its stream goes with the next one.
    Ranks others(1);
    const DeviceLionRank next(reference, 0, {}, others[0]);
  }
}

}  // namespace
}  // namespace signccl
