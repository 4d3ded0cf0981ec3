// SPDX-License-Identifier: Apache-2.0
// Stochastic rounding of bfloat16 parameters: which random bits an element gets, and that the mean of many roundings is
// the number itself. Inputs and keys are fixed, so the statistics are too: a threshold is 6 standard deviations.
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/random_ties.h"
#include "lion_test_support.h"

namespace signccl {
namespace {

constexpr uint16_t kOne = 0x3F80;
constexpr uint16_t kNan = 0x7FC0;

class LionRoundingTest : public KernelsTest {
 protected:
  /// Parameters of 0, minus a learning rate of -value times a direction of +1, rounded.
  std::vector<uint16_t> roundings(float value, LionRounding rounding, size_t count) {
    std::vector<uint16_t> parameters(count);
    const std::vector<Word> positive(wordsFor(count), ~Word{0});
    kernels().decodeVoteLion({FloatType::kBFloat16, parameters.data(), -value, 0, rounding}, positive.data(), nullptr,
                             count);
    return parameters;
  }
};

/// A float between two numbers of bfloat16, `part` / 2^16 of the way from the one with the pattern `lower`.
float between(uint16_t lower, uint32_t part) { return std::bit_cast<float>((uint32_t{lower} << 16) + part); }

TEST_P(LionRoundingTest, AnElementGetsItsBitsOfTheRandomWords) {
  // T(0, 0) and T(0, 1) of docs/semantics.md, 16 bits for each of the first eight elements.
  const LionRounding rounding{true, tieKey(0), 0};
  constexpr uint32_t kBits[] = {0xF0CE, 0x89F3, 0x74B6, 0xDDC6, 0x65E2, 0xA754, 0x0D8E, 0xAA9D};
  constexpr size_t kElements = std::size(kBits);
  for (size_t e = 0; e < kElements; ++e) {
    const uint32_t enough = 0x1'0000 - kBits[e];
    EXPECT_EQ(roundings(between(kOne, enough), rounding, kElements)[e], kOne + 1) << "element " << e;
    EXPECT_EQ(roundings(between(kOne, enough - 1), rounding, kElements)[e], kOne) << "element " << e;
  }
}

TEST_P(LionRoundingTest, TheBitsOfAnElementDoNotDependOnWhereTheKernelBegins) {
  constexpr size_t kCount = 700;
  constexpr uint64_t kFirst = uint64_t{1} << 40;
  const float value = between(kOne, 0x7777);
  const std::vector<uint16_t> whole = roundings(value, {true, tieKey(9), kFirst}, kCount);
  for (size_t skipped = 0; skipped < kCount; skipped += kWordBits) {
    const std::vector<uint16_t> rest = roundings(value, {true, tieKey(9), kFirst + skipped}, kCount - skipped);
    EXPECT_EQ(rest, std::vector<uint16_t>(whole.begin() + static_cast<ptrdiff_t>(skipped), whole.end()));
  }
}

TEST_P(LionRoundingTest, WhatNeedsNoRoundingStaysAsItIs) {
  const LionRounding rounding{true, tieKey(1), 64};
  constexpr uint16_t kNumbers[] = {0x0000, 0x0001, 0x007F, 0x0080, 0x3F80, 0x7F7F, 0x7F80, 0x8001, 0xFF7F, 0xFF80};
  for (const uint16_t pattern : kNumbers) {
    EXPECT_EQ(roundings(between(pattern, 0), rounding, 1000), std::vector<uint16_t>(1000, pattern)) << pattern;
  }
  constexpr uint16_t kNans[] = {0x7F81, 0x7FFF, 0xFFC0, 0xFFFF};
  for (const uint16_t pattern : kNans) {
    EXPECT_EQ(roundings(between(pattern, 0), rounding, 1000), std::vector<uint16_t>(1000, kNan)) << pattern;
  }
}

TEST_P(LionRoundingTest, RoundsUpInMagnitudeAsOftenAsTheCutOffPartSays) {
  constexpr size_t kCount = kCoarseGrid ? 1 << 12 : 1 << 16;
  for (const uint16_t lower :
       {uint16_t{0x3F80}, uint16_t{0xBF80}, uint16_t{0x0000}, uint16_t{0x007F}, uint16_t{0x7F7F}}) {
    for (const uint32_t part : {0x0001U, 0x0100U, 0x1234U, 0x8000U, 0xC000U, 0xFFFFU}) {
      size_t up = 0;
      for (const uint16_t rounded : roundings(between(lower, part), {true, tieKey(part), 1 << 20}, kCount)) {
        ASSERT_TRUE(rounded == lower || rounded == lower + 1);
        up += rounded != lower ? 1 : 0;
      }
      const double probability = part / 65536.0;
      const double deviation = std::sqrt(static_cast<double>(kCount) * probability * (1 - probability));
      EXPECT_LT(std::abs(static_cast<double>(up) - static_cast<double>(kCount) * probability), 6 * deviation)
          << lower << ", " << part;
    }
  }
}

TEST_P(LionRoundingTest, RoundingsOfNeighboursAndOfCallsAreIndependent) {
  constexpr size_t kCount = kCoarseGrid ? 1 << 12 : 1 << 16;
  const float tie = between(kOne, 0x8000);
  const std::vector<uint16_t> here = roundings(tie, {true, tieKey(7), 0}, kCount + 64);
  const std::vector<uint16_t> other_call = roundings(tie, {true, tieKey(8), 0}, kCount + 64);
  const auto expect_fair = [&](const std::vector<uint16_t>& other, size_t distance) {
    int64_t balance = 0;
    for (size_t e = 0; e < kCount; ++e) balance += here[e] == other[e + distance] ? 1 : -1;
    EXPECT_LT(std::abs(static_cast<double>(balance)), 6 * std::sqrt(static_cast<double>(kCount))) << distance;
  };
  for (const size_t distance : {0U, 1U, 2U, 3U, 4U, 5U, 8U, 16U, 64U}) {
    if (distance != 0) expect_fair(here, distance);
    expect_fair(other_call, distance);
  }
}

TEST_P(LionRoundingTest, ManySmallStepsMoveParametersAsFarAsOneLargeStep) {
  // 1,000 steps of 2^-12 at 1, where bfloat16 has units of 2^-7: to nearest they would all be lost.
  constexpr size_t kCount = 640;
  constexpr int kSteps = kCoarseGrid ? 100 : 1000;
  std::vector<uint16_t> parameters(kCount, kOne);
  const std::vector<Word> negative(wordsFor(kCount));
  for (int step = 0; step < kSteps; ++step) {
    const LionRounding rounding{true, tieKey(static_cast<uint64_t>(step)), 0};
    kernels().decodeVoteLion({FloatType::kBFloat16, parameters.data(), 0x1p-12F, 0, rounding}, negative.data(), nullptr,
                             kCount);
  }
  double sum = 0;
  for (const uint16_t parameter : parameters) sum += static_cast<double>(between(parameter, 0));
  // A step has a variance of p (1 - p) units squared, with p = 2^-5.
  const double deviation = 0x1p-7 * std::sqrt(kSteps * 0x1p-5 * (1 - 0x1p-5) / kCount);
  EXPECT_LT(std::abs(sum / kCount - (1 + kSteps * 0x1p-12)), 6 * deviation);
}

SIGNCCL_FOR_ALL_KERNELS(LionRoundingTest);

}  // namespace
}  // namespace signccl
