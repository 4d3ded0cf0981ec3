// SPDX-License-Identifier: Apache-2.0
// Lion steps on streams give the bits that those in host memory give, whoever has his tensors where.
#include <memory>
#include <vector>

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

using StreamLionExactnessTest = StreamTest;

TEST_F(StreamLionExactnessTest, EveryRuleAndMixtureOfTypesIsExact) {
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

TEST_F(StreamLionExactnessTest, StochasticRoundingIsThatOfTheHost) {
  std::vector<LionShape> shapes = everyMixture();
  for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
    for (const bool is_ternary : {false, true}) {
      const ReferenceLionRules rules{op, is_ternary, TieRule::kZero, true, 0x1234'5678'9ABC'DEF0};
      expectExact(shapes, {true, false, true}, rules, 3, 3);
    }
  }
}

TEST_F(StreamLionExactnessTest, SlicesAndCopiesChangeNothing) {
  {
    const Environment environment{{"SIGNCCL_SLICE_BYTES", "64"}};
    for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) expectExact(everyMixture(), {true, true, false}, {op}, 2, 4);
  }
  // So many signs that the stream copies them.
  const std::vector<LionShape> large = {
      {3}, {150'001}, {130'003, FloatType::kBFloat16, FloatType::kFloat32, FloatType::kBFloat16}, {65}};
  expectExact(large, {true, true}, {SignOp::kVote, true, TieRule::kZero}, 1, 5);
}

TEST_F(StreamLionExactnessTest, BucketsGiveWhatOneExchangeGives) {
  for (const std::size_t bucket : {1U, 2U, 7U}) {
    expectExact(everyMixture(), {true, false, true}, {}, 2, 6, bucket);
  }
}

TEST_F(StreamLionExactnessTest, TheTablesHoldAnyNumberOfTensorsAndGroups) {
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

TEST_F(StreamLionExactnessTest, StepsAreExactWhereStreamsWaitByKernelsAndWhereLaunchesBlock) {
  fake_cuda::Config config;
  config.memory_operations = false;
  begin(config);
  expectExact({{500}, {70, FloatType::kBFloat16}}, {true, true, true}, {SignOp::kAvg}, 2, 15, 1);
  config.memory_operations = true;
  config.launches_block = true;
  begin(config);
  expectExact({{500}, {70, FloatType::kBFloat16}}, {true, true, true}, {SignOp::kAvg}, 2, 15, 1);
}

TEST_F(StreamLionExactnessTest, EveryRankMayHaveADeviceOfItsOwn) {
  fake_cuda::Config config;
  config.devices = 3;
  begin(config);
  LionReference reference({{500}, {70, FloatType::kBFloat16}}, 3, {}, 16);
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(rank);
    AnyLionRank lion(reference, rank, {}, comm, true);
    const LionHyperparameters hyperparameters({{0.1, 0.9, 0.99, 0.1}});
    LionReference mine = reference;
    for (std::uint64_t step = 0; step < 3; ++step) {
      lion.step(mine, hyperparameters.config(), 2);
      mine.step({{0.1, 0.9, 0.99, 0.1}}, step);
      ASSERT_TRUE(lion.agreesWith(mine)) << "rank " << rank << ", step " << step;
    }
  });
}

}  // namespace
}  // namespace signccl
