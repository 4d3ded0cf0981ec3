// SPDX-License-Identifier: Apache-2.0
// Lion steps of all kinds against the reference, bit for bit.
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "lion_job.h"
#include "ranks.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

constexpr FloatType kTypes[] = {FloatType::kFloat32, FloatType::kFloat16, FloatType::kBFloat16};
constexpr TieRule kTieRules[] = {TieRule::kZero, TieRule::kPositive, TieRule::kNegative, TieRule::kRandom};

/// Tensors of every mixture of types, in two groups, of sizes from nothing to several slices.
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

/// Makes some steps on ranks that are threads, and compares everything after each.
void expectExact(const std::vector<LionShape>& shapes, int nranks, const ReferenceLionRules& rules, int nsteps,
                 std::uint64_t seed, std::uint64_t first_call = 0) {
  LionReference reference(shapes, nranks, rules, seed);
  Ranks ranks(nranks);
  std::vector<std::unique_ptr<LionRank>> lions;
  for (int rank = 0; rank < nranks; ++rank) {
    lions.push_back(reference.makeRank(rank, ranks[rank]));
    signcclCommSetCallNumber(ranks[rank], first_call);
  }
  for (int step = 0; step < nsteps; ++step) {
    reference.drawGradients();
    const LionHyperparameters hyperparameters(hyperparametersAt(step));
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      LionRank& mine = *lions[static_cast<std::size_t>(rank)];
      mine.setGradients(reference.gradientsOf(rank));
      const signcclLionStepConfig_t config = hyperparameters.config();
      int skipped = 99;
      ASSERT_EQ(signcclLionStep(mine.lion(), &config, mine.gradients(), &skipped), signcclSuccess)
          << signcclGetLastError(comm);
      EXPECT_EQ(skipped, 0);
    });
    reference.step(hyperparametersAt(step), first_call + static_cast<std::uint64_t>(step));
    for (int rank = 0; rank < nranks; ++rank) {
      ASSERT_TRUE(reference.agreesWith(rank, *lions[static_cast<std::size_t>(rank)]))
          << nranks << " ranks, rank " << rank << ", step " << step << ", op " << static_cast<int>(rules.op)
          << ", ternary " << rules.is_ternary << ", tie " << static_cast<int>(rules.tie);
    }
  }
}

class LionExactness : public ::testing::TestWithParam<int> {};

TEST_P(LionExactness, EveryRuleAndMixtureOfTypes) {
  for (const bool is_ternary : {false, true}) {
    for (const TieRule tie : kTieRules) expectExact(everyMixture(), GetParam(), {SignOp::kVote, is_ternary, tie}, 3, 1);
    expectExact(everyMixture(), GetParam(), {SignOp::kAvg, is_ternary}, 3, 2);
  }
}

TEST_P(LionExactness, HundredSteps) {
  const std::vector<LionShape> shapes = {{300},
                                         {77, FloatType::kBFloat16, FloatType::kFloat32, FloatType::kBFloat16, 1}};
  for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) expectExact(shapes, GetParam(), {op}, 100, 3);
}

TEST_P(LionExactness, StochasticRounding) {
  std::vector<LionShape> shapes;
  for (const std::size_t count : {5U, 1'000U, 64U}) shapes.push_back({count, FloatType::kBFloat16});
  shapes.push_back({100});
  const ReferenceLionRules rules{
      .op = SignOp::kVote, .rounds_stochastically = true, .rounding_seed = 0x1234'5678'9ABC'DEF0};
  expectExact(shapes, GetParam(), rules, 5, 4, std::uint64_t{1} << 40);
}

INSTANTIATE_TEST_SUITE_P(Ranks, LionExactness, ::testing::Values(1, 2, 3, 4, 5, 8));

TEST(LionExactnessOf, EveryAlgorithmAndInstructionSet) {
  for (const char* algorithm : {"oneshot", "direct", "ring", "tree", "knomial", "hierarchical"}) {
    for (std::size_t i = 0; i < supportedKernels().count; ++i) {
      const Environment environment{{"SIGNCCL_ALGO", algorithm},
                                    {"SIGNCCL_KERNELS", supportedKernels().instances[i]->name},
                                    {"SIGNCCL_RANKS_PER_NODE", "2"},
                                    {"SIGNCCL_SLICE_BYTES", "64"}};
      for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) expectExact(everyMixture(), 5, {op}, 2, 5);
    }
  }
}

TEST(LionExactnessOf, RandomCases) {
  std::mt19937_64 random(6);
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  for (int i = 0; i < (kSanitized ? 60 : 300); ++i) {
    std::vector<LionShape> shapes;
    for (std::uint64_t n = 1 + below(6); n > 0; --n) {
      shapes.push_back({below(3) == 0 ? below(9'000) : below(200), kTypes[below(3)], kTypes[below(3)], kTypes[below(3)],
                        static_cast<int>(below(2))});
    }
    const ReferenceLionRules rules{below(2) == 0 ? SignOp::kVote : SignOp::kAvg, below(2) == 0, kTieRules[below(4)],
                                   below(4) == 0, below(100)};
    const Environment environment{{"SIGNCCL_SLICE_BYTES", below(2) == 0 ? "64" : ""},
                                  {"SIGNCCL_NTHREADS", std::to_string(1 + below(3))}};
    expectExact(shapes, static_cast<int>(1 + below(9)), rules, 2, random(), random());
    ASSERT_FALSE(HasFailure()) << "case " << i;
  }
}

TEST(LionExactnessOf, ReplicasAfterAThousandSteps) {
  constexpr int kRanks = 3;
  const std::vector<LionShape> shapes = {{1'000}, {513, FloatType::kBFloat16}};
  const LionReference start(shapes, kRanks, {}, 7);
  Ranks ranks(kRanks);
  std::vector<std::unique_ptr<LionRank>> lions;
  for (int rank = 0; rank < kRanks; ++rank) lions.push_back(start.makeRank(rank, ranks[rank]));
  ranks.inThreads([&](int rank, signcclComm_t) {
    LionReference gradients(shapes, kRanks, {}, 8 + static_cast<std::uint64_t>(rank));
    LionRank& mine = *lions[static_cast<std::size_t>(rank)];
    for (int step = 0; step < 1'000; ++step) {
      if (step % 10 == 0) gradients.drawGradients();
      mine.setGradients(gradients.gradientsOf(rank));
      const LionHyperparameters hyperparameters({{1e-2, 0.9, 0.99, 0.01}});
      const signcclLionStepConfig_t config = hyperparameters.config();
      ASSERT_EQ(signcclLionStep(mine.lion(), &config, mine.gradients(), nullptr), signcclSuccess);
    }
  });
  for (std::size_t tensor = 0; tensor < shapes.size(); ++tensor) {
    for (int rank = 1; rank < kRanks; ++rank) {
      EXPECT_TRUE(std::ranges::equal(lions[static_cast<std::size_t>(rank)]->parameters(tensor).bytes(),
                                     lions[0]->parameters(tensor).bytes()));
    }
    EXPECT_FALSE(areEqual(lions[0]->parameters(tensor), start.parameters(tensor))) << "they have moved";
  }
}

}  // namespace
}  // namespace signccl
