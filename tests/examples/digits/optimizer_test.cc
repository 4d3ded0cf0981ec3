// SPDX-License-Identifier: Apache-2.0
#include "optimizer.h"

#include <cmath>
#include <functional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/random_tie.h"

namespace digits {
namespace {

constexpr std::size_t kCount = 101;
constexpr int kSteps = 6;
constexpr float kRate = 0.01F;
constexpr float kDecay = 0.5F;

using Values = std::vector<float>;

/// A gradient of its own for each worker and step, with zeros among it.
Values gradientOf(int rank, int step) {
  Values gradient(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    const int pattern = static_cast<int>(i) * 7 + rank * 13 + step * 5;
    gradient[i] = static_cast<float>(pattern % 11 - 5) / 4.0F;
  }
  return gradient;
}

Values startOf() {
  Values start(kCount);
  for (std::size_t i = 0; i < kCount; ++i) start[i] = static_cast<float>(i) / 50.0F - 1.0F;
  return start;
}

/// Runs `nranks` workers as threads; gives each one's parameters.
std::vector<Values> runWorkers(Method method, int nranks) {
  method.settings = {.learning_rate = kRate, .weight_decay = kDecay};
  launch::JobComm alone;
  MeanGroup mean(nranks, kCount, alone);
  Rendezvous rendezvous{.id = alone.shareUniqueId(), .algorithm = {}, .mean = &mean};
  std::vector<Values> parameters(static_cast<std::size_t>(nranks), startOf());
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < nranks; ++rank) {
      threads.emplace_back([&, rank] {
        const auto optimizer = makeOptimizer(method, rank, nranks, kCount, rendezvous);
        for (int step = 0; step < kSteps; ++step) {
          Values gradient = gradientOf(rank, step);
          optimizer->step(parameters[static_cast<std::size_t>(rank)], gradient, kRate);
        }
      });
    }
  }
  return parameters;
}

/// Every worker's momentum becomes their mean.
void averageMomenta(std::vector<Values>& momenta) {
  for (std::size_t i = 0; i < kCount; ++i) {
    float sum = 0;
    for (const Values& momentum : momenta) sum += momentum[i];
    for (Values& momentum : momenta) momentum[i] = sum / static_cast<float>(momenta.size());
  }
}

/// Algorithm 1 of Distributed Lion as one thread, `combine` making the update from the sum of the signs.
Values runAlgorithm1(int nranks, const std::function<float(int sum, std::size_t i, int step)>& combine,
                     int sync_every = 0, float beta2 = 0.99F) {
  Values parameters = startOf();
  std::vector<Values> momenta(static_cast<std::size_t>(nranks), Values(kCount));
  for (int step = 0; step < kSteps; ++step) {
    std::vector<int> sums(kCount, 0);
    for (int rank = 0; rank < nranks; ++rank) {
      Values& momentum = momenta[static_cast<std::size_t>(rank)];
      const Values gradient = gradientOf(rank, step);
      for (std::size_t i = 0; i < kCount; ++i) {
        sums[i] += 0.9F * momentum[i] + (1 - 0.9F) * gradient[i] < 0 ? -1 : 1;
        momentum[i] = beta2 * momentum[i] + (1 - beta2) * gradient[i];
      }
    }
    for (std::size_t i = 0; i < kCount; ++i) {
      parameters[i] -= kRate * (combine(sums[i], i, step) + kDecay * parameters[i]);
    }
    if (sync_every > 0 && (step + 1) % sync_every == 0) averageMomenta(momenta);
  }
  return parameters;
}

float signOf(int value) { return static_cast<float>((value > 0) - (value < 0)); }

void expectAll(const std::vector<Values>& parameters, const Values& expected) {
  for (std::size_t rank = 0; rank < parameters.size(); ++rank) {
    for (std::size_t i = 0; i < kCount; ++i) {
      ASSERT_EQ(parameters[rank][i], parameters[0][i]) << "ranks 0 and " << rank << " differ at " << i;
      // The compiler may fuse multiplications and additions in one place and not in the other.
      ASSERT_NEAR(parameters[rank][i], expected[i], 1e-6) << "rank " << rank << ", element " << i;
    }
  }
}

TEST(DistributedLionTest, VoteFollowsAlgorithm1) {
  const auto parameters = runWorkers({.kind = MethodKind::kVote, .tie_rule = signcclTieZero}, 4);
  expectAll(parameters, runAlgorithm1(4, [](int sum, std::size_t, int) { return signOf(sum); }));
}

TEST(DistributedLionTest, VoteResolvesTiesByItsRule) {
  const auto positive = runWorkers({.kind = MethodKind::kVote, .tie_rule = signcclTiePositive}, 4);
  expectAll(positive, runAlgorithm1(4, [](int sum, std::size_t, int) { return sum >= 0 ? 1.0F : -1.0F; }));
  const auto negative = runWorkers({.kind = MethodKind::kVote, .tie_rule = signcclTieNegative}, 4);
  expectAll(negative, runAlgorithm1(4, [](int sum, std::size_t, int) { return sum > 0 ? 1.0F : -1.0F; }));
  const auto random = runWorkers({.kind = MethodKind::kVote, .tie_rule = signcclTieRandom}, 4);
  expectAll(random, runAlgorithm1(4, [](int sum, std::size_t i, int step) {
              const bool is_positive = signccl::randomTieIsPositive(static_cast<std::uint64_t>(step), i);
              return sum != 0 ? signOf(sum) : is_positive ? 1.0F : -1.0F;
            }));
}

TEST(DistributedLionTest, AvgFollowsAlgorithm1) {
  const auto parameters = runWorkers({.kind = MethodKind::kAvg}, 5);
  expectAll(parameters, runAlgorithm1(5, [](int sum, std::size_t, int) { return static_cast<float>(sum) / 5.0F; }));
}

TEST(DistributedLionTest, MomentaAreAveragedAfterEveryFewSteps) {
  const auto sign = [](int sum, std::size_t, int) { return signOf(sum); };
  const Method method{.kind = MethodKind::kVote, .tie_rule = signcclTieZero, .sync_every = 2};
  expectAll(runWorkers(method, 4), runAlgorithm1(4, sign, 2));
  ASSERT_NE(runAlgorithm1(4, sign, 2), runAlgorithm1(4, sign));
}

TEST(DistributedLionTest, MomentaDecayByBeta2) {
  const auto sign = [](int sum, std::size_t, int) { return signOf(sum); };
  const Method method{.kind = MethodKind::kVote, .tie_rule = signcclTieZero, .beta2 = 0.8F};
  expectAll(runWorkers(method, 4), runAlgorithm1(4, sign, 0, 0.8F));
  ASSERT_NE(runAlgorithm1(4, sign, 0, 0.8F), runAlgorithm1(4, sign));
}

TEST(LionTest, OneWorkerAloneIsDistributedLionOfOne) {
  const auto lion = runWorkers({.kind = MethodKind::kLion}, 1);
  const auto vote = runWorkers({.kind = MethodKind::kVote, .zero_rule = signcclZeroTernary}, 1);
  expectAll(lion, vote[0]);
}

TEST(LionTest, AllWorkersKeepTheSameParameters) {
  const auto lion = runWorkers({.kind = MethodKind::kLion}, 3);
  expectAll(lion, lion[0]);
}

TEST(AdamWTest, FirstStepMovesByTheLearningRateAgainstTheMeanGradient) {
  launch::JobComm alone;
  MeanGroup mean(1, 2, alone);
  const Method method{.kind = MethodKind::kAdamW, .settings = {.learning_rate = kRate, .weight_decay = 0}};
  const auto adamw = makeOptimizer(method, 0, 1, 2, {.id = {}, .algorithm = {}, .mean = &mean});
  Values parameters = {1, 1};
  Values gradient = {3, -0.001F};
  adamw->step(parameters, gradient, kRate);
  EXPECT_NEAR(parameters[0], 1 - kRate, 1e-6);
  EXPECT_NEAR(parameters[1], 1 + kRate, 1e-6);
}

TEST(AdamWTest, FollowsItsFormula) {
  const auto parameters = runWorkers({.kind = MethodKind::kAdamW}, 3);
  std::vector<double> mean(kCount);
  std::vector<double> square(kCount);
  const Values start = startOf();
  std::vector<double> expected(start.begin(), start.end());
  for (int step = 0; step < kSteps; ++step) {
    for (std::size_t i = 0; i < kCount; ++i) {
      double gradient = 0;
      for (int rank = 0; rank < 3; ++rank) gradient += gradientOf(rank, step)[i] / 3.0;
      mean[i] = 0.9 * mean[i] + 0.1 * gradient;
      square[i] = 0.999 * square[i] + 0.001 * gradient * gradient;
      const double direction =
          mean[i] / (1 - std::pow(0.9, step + 1)) / (std::sqrt(square[i] / (1 - std::pow(0.999, step + 1))) + 1e-8);
      expected[i] -= kRate * (direction + kDecay * expected[i]);
    }
  }
  for (std::size_t i = 0; i < kCount; ++i) EXPECT_NEAR(parameters[2][i], expected[i], 1e-4) << i;
}

TEST(OptimizerTest, CountsBytesWhereSignsTravelOnly) {
  const Method vote{.kind = MethodKind::kVote, .settings = {.learning_rate = kRate, .weight_decay = kDecay}};
  const Rendezvous rendezvous{.id = launch::JobComm().shareUniqueId(), .algorithm = {}, .mean = nullptr};
  std::vector<std::uint64_t> bytes(2);
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < 2; ++rank) {
      threads.emplace_back([&, rank] {
        const auto optimizer = makeOptimizer(vote, rank, 2, 64000, rendezvous);
        Values parameters(64000);
        Values gradient(64000, 1.0F);
        optimizer->step(parameters, gradient, kRate);
        bytes[static_cast<std::size_t>(rank)] = optimizer->bytesSent();
      });
    }
  }
  // Two workers exchange their halves' signs and then results, or all signs at once: a bit per element each.
  for (const std::uint64_t sent : bytes) EXPECT_NEAR(static_cast<double>(sent), 64000 / 8.0, 160);
}

}  // namespace
}  // namespace digits
