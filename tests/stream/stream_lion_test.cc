// Lion steps on streams give the bits that those in host memory give, whoever has his tensors where.
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "stream_lion_job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

constexpr FloatType kTypes[] = {FloatType::kFloat32, FloatType::kFloat16, FloatType::kBFloat16};

/// Tensors of every mixture of types, in two groups, of sizes from nothing to several tiles.
std::vector<LionShape> everyMixture() {
  const std::size_t counts[] = {1, 64, 0, 63, 1'000, 65, 7, 4'099, 129};
  std::vector<LionShape> shapes;
  for (const FloatType parameters : kTypes) {
    for (const FloatType momenta : kTypes) {
      for (const FloatType gradients : kTypes) {
        const std::size_t i = shapes.size();
        shapes.push_back(
            {counts[i % std::size(counts)] + i / 9, parameters, momenta, gradients, static_cast<int>(i % 2)});
      }
    }
  }
  return shapes;
}

std::vector<ReferenceHyperparameters> hyperparametersAt(int step) {
  return {{0.01 / (1 + step), 0.9, 0.99, 0.1}, {1e-3 * step, 0.95, 0.98, 0}};
}

/// A rank whose tensors are on the device or in host memory.
class AnyLionRank {
 public:
  AnyLionRank(const LionReference& reference, int rank, const ReferenceLionRules& rules, signcclComm_t comm,
              bool is_on_device)
      : rank_(rank) {
    if (is_on_device) {
      on_device_.emplace(reference, rank, rules, comm);
    } else {
      on_host_ = reference.makeRank(rank, comm);
    }
  }

  /// Begins a step; submits it in buckets of `bucket` tensors, and ends it.
  void step(const LionReference& reference, signcclLionStepConfig_t config, std::size_t bucket) {
    begin(reference, config);
    for (std::size_t first = 0; first < reference.shapes().size(); first += bucket) {
      const std::size_t n = std::min(bucket, reference.shapes().size() - first);
      ASSERT_EQ(signcclLionSubmit(lion(), first, n, gradients() + first), signcclSuccess)
          << signcclGetLastError(nullptr);
    }
    finish();
  }
  void begin(const LionReference& reference, signcclLionStepConfig_t config) {
    if (on_device_) config.stream = on_device_->stream().get();
    on_device_ ? on_device_->setGradients(reference.gradientsOf(rank_))
               : on_host_->setGradients(reference.gradientsOf(rank_));
    ASSERT_EQ(signcclLionBegin(lion(), &config), signcclSuccess) << signcclGetLastError(nullptr);
  }
  void finish(int was_skipped = 0) {
    int done = 0;
    int skipped = 99;
    ASSERT_EQ(signcclLionFinish(lion(), -1, &done, &skipped), signcclSuccess) << signcclGetLastError(nullptr);
    EXPECT_EQ(done, 1);
    EXPECT_EQ(skipped, on_device_ ? -1 : was_skipped);
  }
  [[nodiscard]] signcclLion_t lion() const { return on_device_ ? on_device_->lion() : on_host_->lion(); }
  [[nodiscard]] const void* const* gradients() const {
    return on_device_ ? on_device_->gradients() : on_host_->gradients();
  }
  [[nodiscard]] bool agreesWith(const LionReference& reference) const {
    return on_device_ ? on_device_->agreesWith(reference, rank_) : reference.agreesWith(rank_, *on_host_);
  }
  [[nodiscard]] const DeviceLionRank& onDevice() const { return *on_device_; }

 private:
  int rank_;
  std::optional<DeviceLionRank> on_device_;
  std::unique_ptr<LionRank> on_host_;
};

/// Makes some steps on ranks that are threads, the i-th on the device if places[i] is, and compares everything after
/// each.
void expectExact(const std::vector<LionShape>& shapes, const std::vector<bool>& places, const ReferenceLionRules& rules,
                 int nsteps, std::uint64_t seed, std::size_t bucket = 1'000) {
  const int nranks = static_cast<int>(places.size());
  LionReference reference(shapes, nranks, rules, seed);
  Ranks ranks(nranks);
  const CurrentDevice current(0);
  std::vector<std::unique_ptr<AnyLionRank>> lions;
  for (int rank = 0; rank < nranks; ++rank) {
    lions.push_back(
        std::make_unique<AnyLionRank>(reference, rank, rules, ranks[rank], places[static_cast<std::size_t>(rank)]));
  }
  for (int step = 0; step < nsteps; ++step) {
    reference.drawGradients();
    const LionHyperparameters hyperparameters(hyperparametersAt(step));
    ranks.inThreads([&](int rank, signcclComm_t) {
      const CurrentDevice mine(0);
      lions[static_cast<std::size_t>(rank)]->step(reference, hyperparameters.config(), bucket);
    });
    if (::testing::Test::HasFailure()) return;
    reference.step(hyperparametersAt(step), static_cast<std::uint64_t>(step));
    for (int rank = 0; rank < nranks; ++rank) {
      ASSERT_TRUE(lions[static_cast<std::size_t>(rank)]->agreesWith(reference))
          << nranks << " ranks, rank " << rank << ", step " << step << ", op " << static_cast<int>(rules.op)
          << ", ternary " << rules.is_ternary << ", tie " << static_cast<int>(rules.tie);
    }
  }
}

const std::vector<std::vector<bool>> kPlaces = {{true}, {true, true}, {true, false, true}, {false, true, true, false}};

using StreamLionTest = StreamTest;

TEST_F(StreamLionTest, EveryRuleAndMixtureOfTypesIsExact) {
  for (const std::vector<bool>& places : kPlaces) {
    if (kSanitized && places.size() != 3) continue;
    for (const bool is_ternary : {false, true}) {
      for (const TieRule tie : {TieRule::kZero, TieRule::kPositive, TieRule::kNegative, TieRule::kRandom}) {
        if (kSanitized && tie != TieRule::kZero) continue;
        expectExact(everyMixture(), places, {SignOp::kVote, is_ternary, tie}, 2, 1);
      }
      expectExact(everyMixture(), places, {SignOp::kAvg, is_ternary}, 2, 2);
      if (HasFailure()) return;
    }
  }
}

TEST_F(StreamLionTest, StochasticRoundingIsThatOfTheHost) {
  std::vector<LionShape> shapes = everyMixture();
  for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
    for (const bool is_ternary : {false, true}) {
      const ReferenceLionRules rules{op, is_ternary, TieRule::kZero, true, 0x1234'5678'9ABC'DEF0};
      expectExact(shapes, {true, false, true}, rules, 3, 3);
    }
  }
}

TEST_F(StreamLionTest, SlicesAndCopiesChangeNothing) {
  {
    const Environment environment{{"SIGNCCL_SLICE_BYTES", "64"}};
    for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) expectExact(everyMixture(), {true, true, false}, {op}, 2, 4);
  }
  // So many signs that the stream copies them.
  const std::vector<LionShape> large = {
      {3}, {150'001}, {130'003, FloatType::kBFloat16, FloatType::kFloat32, FloatType::kBFloat16}, {65}};
  expectExact(large, {true, true}, {SignOp::kVote, true, TieRule::kZero}, 1, 5);
}

TEST_F(StreamLionTest, BucketsGiveWhatOneExchangeGives) {
  for (const std::size_t bucket : {1U, 2U, 7U}) {
    expectExact(everyMixture(), {true, false, true}, {}, 2, 6, bucket);
  }
}

TEST_F(StreamLionTest, TheTablesHoldAnyNumberOfTensorsAndGroups) {
  std::vector<LionShape> shapes;
  std::vector<ReferenceHyperparameters> groups;
  for (int i = 0; i < 1'100; ++i) {
    shapes.push_back(
        {static_cast<std::size_t>(i % 7), kTypes[i % 2], FloatType::kFloat32, FloatType::kFloat32, i % 230});
    if (i < 230) groups.push_back({1e-3 * i, 0.9, 0.99 - 1e-3 * i, 1e-4 * i});
  }
  LionReference reference(shapes, 1, {}, 7);
  Ranks ranks(1);
  const CurrentDevice current(0);
  AnyLionRank lion(reference, 0, {}, ranks[0], true);
  const LionHyperparameters hyperparameters(groups);
  for (std::uint64_t step = 0; step < 3; ++step) {
    if (step != 1) reference.drawGradients();
    lion.step(reference, hyperparameters.config(), 400);
    reference.step(groups, step);
    ASSERT_TRUE(lion.agreesWith(reference)) << "step " << step;
  }
}

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
    const LionHyperparameters hyperparameters(hyperparametersAt(step));
    for (const auto& lion : lions) lion->begin(reference, hyperparameters.config());
    for (std::size_t tensor = 0; tensor < shapes.size(); ++tensor) {
      for (const auto& lion : lions) {
        ASSERT_EQ(signcclLionSubmit(lion->lion(), tensor, 1, lion->gradients() + tensor), signcclSuccess);
      }
    }
    for (const auto& lion : lions) lion->finish();
    reference.step(hyperparametersAt(step), static_cast<std::uint64_t>(step));
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
      const LionHyperparameters hyperparameters({{0.1, 0.9, 0.99, 0.1}});
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
        mine.step({{0.1, 0.9, 0.99, 0.1}}, static_cast<std::uint64_t>(step),
                  is_skipped ? std::vector{finder} : std::vector<int>{});
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
    const LionHyperparameters hyperparameters({{0.1, 0.9, 0.99, 0.1}});
    signcclLionStepConfig_t config = hyperparameters.config();
    config.skip = rank;
    LionReference mine = reference;
    lion.step(mine, config, 1);
    mine.step({{0.1, 0.9, 0.99, 0.1}}, 0, {1});
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
    const LionHyperparameters hyperparameters({{0.1, 0.9, 0.99, 0.1}});
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
    const LionHyperparameters hyperparameters({{0.1, 0.9, 0.99, 0.1}});
    const DeviceValues<float> vote({-3.0F});
    const CudaStream stream = lion.onDevice().stream().get();
    LionReference mine = reference;
    for (std::uint64_t step = 0; step < 3; ++step) {
      lion.begin(mine, hyperparameters.config());
      ASSERT_EQ(signcclLionSubmit(lion.lion(), 0, 1, lion.gradients()), signcclSuccess);
      ASSERT_EQ(callOn({}, vote.data(), vote.data(), 1, comm, stream), signcclSuccess) << signcclGetLastError(nullptr);
      ASSERT_EQ(signcclLionSubmit(lion.lion(), 1, 1, lion.gradients() + 1), signcclSuccess);
      lion.finish();
      mine.step({{0.1, 0.9, 0.99, 0.1}}, 2 * step);
      ASSERT_TRUE(lion.agreesWith(mine));
      EXPECT_EQ(vote.get(), -1.0F);
    }
  });
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
    const LionHyperparameters hyperparameters({{0.1, 0.9, 0.99, 0.1}});
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
    reference.step({{0.1, 0.9, 0.99, 0.1}}, 0);
    EXPECT_TRUE(lion.agreesWith(reference, 0));
    // What it had to leave to its stream goes with the next one.
    Ranks others(1);
    const DeviceLionRank next(reference, 0, {}, others[0]);
  }
}

}  // namespace
}  // namespace signccl
