// SPDX-License-Identifier: Apache-2.0
// Ties of the default rule as a trainer meets them: an element that stays tied is drawn no way, however many calls a
// step makes. Calls and inputs are fixed, so the results are too.
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <gtest/gtest.h>

#include "ranks.h"

namespace signccl {
namespace {

constexpr int kSteps = 1000;
constexpr std::size_t kCount = 640;

/// Over steps of `calls_per_step` votes on which the ranks disagree, the sum of each element's results of the first.
std::vector<int> sumsOverSteps(int nranks, int calls_per_step) {
  Ranks ranks(nranks);
  std::vector<int> sums(kCount, 0);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const std::vector<std::int8_t> own(kCount, rank % 2 == 0 ? std::int8_t{1} : std::int8_t{-1});
    std::vector<std::int8_t> votes(kCount);
    const Case vote{SignOp::kVote, signcclInt8, signcclInt8};
    for (int call_number = 0; call_number < kSteps * calls_per_step; ++call_number) {
      const std::size_t count = call_number % calls_per_step == 0 ? kCount : 1;
      ASSERT_EQ(call(vote, own.data(), votes.data(), count, comm), signcclSuccess) << signcclGetLastError(comm);
      if (rank != 0 || count == 1) continue;
      for (std::size_t i = 0; i < kCount; ++i) sums[i] += votes[i];
    }
  });
  return sums;
}

class TiesTest : public ::testing::TestWithParam<int> {};

TEST_P(TiesTest, TiedElementsWalkAsCoinsDoOverSteps) {
  for (const int calls_per_step : {1, 2, 3, 4, 18}) {
    double total = 0;
    double absolute = 0;
    for (const int sum : sumsOverSteps(GetParam(), calls_per_step)) {
      total += sum;
      absolute += std::abs(sum);
    }
    // The sum of 1,000 coins of +1 and -1 has a standard deviation of 31.6; its size is 25.2 on average, +- 19.1.
    const auto sqrt_count = std::sqrt(static_cast<double>(kCount));
    EXPECT_NEAR(absolute / kCount, 25.2, 6 * 19.1 / sqrt_count) << calls_per_step << " calls per step";
    EXPECT_NEAR(total / kCount, 0, 6 * 31.6 / sqrt_count) << calls_per_step << " calls per step";
  }
}

TEST_P(TiesTest, NeighboursAreTiedIndependentlyOverSteps) {
  // Sums of neighbours would be correlated if their ties were: here, products of sums, each of variance 1,000.
  for (const int calls_per_step : {1, 2, 18}) {
    const std::vector<int> sums = sumsOverSteps(GetParam(), calls_per_step);
    for (const std::size_t distance : {1U, 2U, 63U, 64U, 65U, 128U}) {
      double product = 0;
      for (std::size_t i = 0; i + distance < kCount; ++i) product += sums[i] * sums[i + distance];
      EXPECT_LT(std::abs(product), 6 * kSteps * std::sqrt(static_cast<double>(kCount - distance)))
          << distance << " elements apart, " << calls_per_step << " calls per step";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, TiesTest, ::testing::Values(2, 4),
                         [](const auto& nranks) { return std::to_string(nranks.param); });

}  // namespace
}  // namespace signccl
