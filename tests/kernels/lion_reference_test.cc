// SPDX-License-Identifier: Apache-2.0
// The reference of a Lion step against bits written by hand, and against arithmetic in double, which holds every
// product of two float32 exactly and every sum so nearly that rounding it to float32 gives the nearest one.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/random_ties.h"
#include "lion_test_support.h"

namespace signccl {
namespace {

const Kernels& reference() { return referenceKernels(); }

float multiply(float a, float b) { return static_cast<float>(static_cast<double>(a) * static_cast<double>(b)); }
float add(float a, float b) { return static_cast<float>(static_cast<double>(a) + static_cast<double>(b)); }

/// Every finite number of a format of 16 bits that is not negative, in order: number p has the pattern p. After them
/// what would come next if there were no infinity.
class Ladder {
 public:
  Ladder(int exponent_bits, uint16_t infinity) {
    const int fraction_bits = 15 - exponent_bits;
    double step = std::ldexp(1, 2 - (1 << (exponent_bits - 1)) - fraction_bits);
    for (uint32_t pattern = 0; pattern <= infinity; ++pattern) {
      numbers_.push_back(pattern == 0 ? 0 : numbers_.back() + step);
      // The step doubles where an exponent begins, but not at the first one: denormals have its step, too.
      if (pattern % (1U << fraction_bits) == 0 && pattern >= (2U << fraction_bits)) step *= 2;
    }
  }

  [[nodiscard]] double number(uint32_t pattern) const { return numbers_[pattern]; }

  /// The pattern of the number nearest to `magnitude`, of two the even one.
  [[nodiscard]] uint32_t nearest(double magnitude) const {
    const auto above = std::lower_bound(numbers_.begin(), numbers_.end(), magnitude);
    if (above == numbers_.end()) return static_cast<uint32_t>(numbers_.size() - 1);
    const auto upper = static_cast<uint32_t>(above - numbers_.begin());
    if (upper == 0) return 0;
    const double down = magnitude - numbers_[upper - 1];
    const double up = numbers_[upper] - magnitude;
    if (down == up) return upper % 2 == 0 ? upper : upper - 1;
    return down < up ? upper - 1 : upper;
  }

 private:
  std::vector<double> numbers_;
};

struct NarrowFormat {
  Ladder ladder;
  uint16_t infinity;
  uint16_t quiet_nan;
};

const NarrowFormat& formatOf(FloatType type) {
  static const NarrowFormat float16{{5, 0x7C00}, 0x7C00, 0x7E00};
  static const NarrowFormat bfloat16{{8, 0x7F80}, 0x7F80, 0x7FC0};
  return type == FloatType::kFloat16 ? float16 : bfloat16;
}

float widen(FloatType type, uint32_t pattern) {
  if (type == FloatType::kFloat32) return std::bit_cast<float>(pattern);
  const NarrowFormat& format = formatOf(type);
  const uint32_t magnitude = pattern & 0x7FFF;
  float value = std::numeric_limits<float>::infinity();
  if (magnitude < format.infinity) value = static_cast<float>(format.ladder.number(magnitude));
  if (magnitude > format.infinity) value = std::numeric_limits<float>::quiet_NaN();
  return (pattern & 0x8000) != 0 ? -value : value;
}

uint32_t narrow(FloatType type, float value) {
  if (type == FloatType::kFloat32) return std::isnan(value) ? 0x7FC0'0000 : std::bit_cast<uint32_t>(value);
  const NarrowFormat& format = formatOf(type);
  if (std::isnan(value)) return format.quiet_nan;
  const uint32_t sign = std::signbit(value) ? 0x8000 : 0;
  return sign | format.ladder.nearest(std::abs(static_cast<double>(value)));
}

uint32_t patternAt(FloatType type, const TestBuffer& numbers, size_t e) {
  uint32_t pattern = 0;
  std::memcpy(&pattern, numbers.data() + e * floatBytes(type), floatBytes(type));
  return pattern;
}

bool bitAt(const TestPlanes& planes, int plane, size_t e) {
  return ((planes.plane(plane)[e / kWordBits] >> (e % kWordBits)) & 1) != 0;
}

TEST(LionReferenceTest, LaddersHaveTheNumbersOfTheirFormats) {
  const Ladder& float16 = formatOf(FloatType::kFloat16).ladder;
  EXPECT_EQ(float16.number(0x0001), 0x1p-24);
  EXPECT_EQ(float16.number(0x03FF), 0x1p-14 - 0x1p-24);
  EXPECT_EQ(float16.number(0x0400), 0x1p-14);
  EXPECT_EQ(float16.number(0x0801), 0x1p-13 + 0x1p-23);
  EXPECT_EQ(float16.number(0x3C00), 1);
  EXPECT_EQ(float16.number(0x3C01), 1 + 0x1p-10);
  EXPECT_EQ(float16.number(0x7BFF), 65504);
  const Ladder& bfloat16 = formatOf(FloatType::kBFloat16).ladder;
  EXPECT_EQ(bfloat16.number(0x0001), 0x1p-133);
  EXPECT_EQ(bfloat16.number(0x0080), 0x1p-126);
  EXPECT_EQ(bfloat16.number(0x3F80), 1);
  EXPECT_EQ(bfloat16.number(0x4049), 3.140625);
  EXPECT_EQ(bfloat16.number(0x7F7F), 0x1p128 - 0x1p120);
}

TEST(LionReferenceTest, MomentaAndSignsAreThoseOfArithmeticInDouble) {
  std::mt19937_64 random(7);
  constexpr size_t kCount = 5000;
  constexpr LionBetas kBetas[] = {{0.9F, 0.1F, 0.99F, 0.01F}, {0, 1, 0, 1}, {1, 0, 1, 0}, {0.5F, 0.5F, 0x1p-20F, -3}};
  for (const LionBetas& b : kBetas) {
    for (const FloatType gradient_type : kFloatTypes) {
      for (const FloatType momentum_type : kFloatTypes) {
        TestBuffer gradients(kCount * floatBytes(gradient_type));
        fillNumbers(gradient_type, random, gradients.data(), kCount);
        NumbersTwice momenta(momentum_type, random, kCount, 0);
        TestPlanes signs(2, wordsFor(kCount));
        reference().encodeLion({gradient_type, momentum_type, gradients.data(), momenta.second.data(), b}, kCount,
                               signs.plane(0), signs.plane(1));
        for (size_t e = 0; e < kCount; ++e) {
          const float g = widen(gradient_type, patternAt(gradient_type, gradients, e));
          const float m = widen(momentum_type, patternAt(momentum_type, momenta.first, e));
          const float u = add(multiply(b.beta1, m), multiply(b.one_minus_beta1, g));
          const float next = add(multiply(b.beta2, m), multiply(b.one_minus_beta2, g));
          ASSERT_EQ(bitAt(signs, 0, e), u > 0) << m << ", " << g;
          ASSERT_EQ(bitAt(signs, 1, e), !(u < 0)) << m << ", " << g;
          ASSERT_EQ(patternAt(momentum_type, momenta.second, e), narrow(momentum_type, next))
              << typeName(gradient_type) << " " << g << ", " << typeName(momentum_type) << " " << m;
        }
      }
    }
  }
}

TEST(LionReferenceTest, NoGradientsAreZeros) {
  std::mt19937_64 random(8);
  constexpr size_t kCount = 1000;
  constexpr LionBetas kBetas{0.9F, 0.1F, 0.99F, 0.01F};
  for (const FloatType type : kFloatTypes) {
    const std::vector<unsigned char> zeros(kCount * floatBytes(type));
    NumbersTwice momenta(type, random, kCount, 0);
    TestPlanes expected(2, wordsFor(kCount)), signs(2, wordsFor(kCount));
    reference().encodeLion({type, type, zeros.data(), momenta.first.data(), kBetas}, kCount, expected.plane(0),
                           expected.plane(1));
    reference().encodeLion({type, type, nullptr, momenta.second.data(), kBetas}, kCount, signs.plane(0),
                           signs.plane(1));
    EXPECT_TRUE(momenta.first == momenta.second) << typeName(type);
    EXPECT_TRUE(signs == expected) << typeName(type);
  }
}

/// x' of the formula, by arithmetic in double.
float stepped(float x, float direction, float learning_rate, float weight_decay) {
  return add(x, -multiply(learning_rate, add(direction, multiply(weight_decay, x))));
}

TEST(LionReferenceTest, ParametersAreThoseOfArithmeticInDouble) {
  std::mt19937_64 random(9);
  constexpr size_t kCount = 5000;
  constexpr struct {
    float learning_rate;
    float weight_decay;
  } kRates[] = {{1e-3F, 0.1F}, {0, 0}, {1, 0}, {0x1p-130F, 3}, {1e30F, 1e10F}};
  alignas(64) constexpr float kMeans[] = {-1, -1.0F / 3, 1.0F / 3, 1};
  for (const auto& [learning_rate, weight_decay] : kRates) {
    for (const FloatType type : kFloatTypes) {
      TestPlanes planes(2, wordsFor(kCount));
      planes.fillRandom(random);
      NumbersTwice voted(type, random, kCount, 0), averaged(type, random, kCount, 0);
      const LionRounding to_nearest{false, 0, 0};
      reference().decodeVoteLion({type, voted.second.data(), learning_rate, weight_decay, to_nearest}, planes.plane(0),
                                 planes.plane(1), kCount);
      reference().decodeAvgLion({type, averaged.second.data(), learning_rate, weight_decay, to_nearest}, planes.view(),
                                kMeans, kCount);
      for (size_t e = 0; e < kCount; ++e) {
        const float vote = bitAt(planes, 0, e) ? 1.0F : bitAt(planes, 1, e) ? 0.0F : -1.0F;
        const float x = widen(type, patternAt(type, voted.first, e));
        ASSERT_EQ(patternAt(type, voted.second, e), narrow(type, stepped(x, vote, learning_rate, weight_decay)))
            << typeName(type) << " " << x;
        const float y = widen(type, patternAt(type, averaged.first, e));
        ASSERT_EQ(patternAt(type, averaged.second, e),
                  narrow(type, stepped(y, kMeans[planes.number(e)], learning_rate, weight_decay)))
            << typeName(type) << " " << y;
      }
    }
  }
}

TEST(LionReferenceTest, StochasticRoundingAddsTheRandomBitsAndCuts) {
  std::mt19937_64 random(10);
  constexpr size_t kCount = 5000;
  constexpr uint64_t kFirst = 6400;
  const uint64_t key = tieKey(3);
  // Tie bits of ties everywhere are the random words.
  std::vector<Word> words(kCount / 4);
  reference().decide({nullptr, 0, 0}, 1, true, {true, key, kFirst / 4}, words.size(), words.data(), nullptr);
  TestPlanes votes(2, wordsFor(kCount));
  votes.fillRandom(random);
  NumbersTwice parameters(FloatType::kBFloat16, random, kCount, 0);
  reference().decodeVoteLion({FloatType::kBFloat16, parameters.second.data(), 1e-3F, 0.1F, {true, key, kFirst}},
                             votes.plane(0), votes.plane(1), kCount);
  for (size_t e = 0; e < kCount; ++e) {
    const float vote = bitAt(votes, 0, e) ? 1.0F : bitAt(votes, 1, e) ? 0.0F : -1.0F;
    const float x = widen(FloatType::kBFloat16, patternAt(FloatType::kBFloat16, parameters.first, e));
    const float next = stepped(x, vote, 1e-3F, 0.1F);
    const auto random_bits = static_cast<uint32_t>(words[e / 4] >> (16 * (e % 4)) & 0xFFFF);
    const uint32_t expected = std::isnan(next) ? 0x7FC0 : (std::bit_cast<uint32_t>(next) + random_bits) >> 16;
    ASSERT_EQ(patternAt(FloatType::kBFloat16, parameters.second, e), expected) << x;
  }
}

/// A momentum and a gradient, both float32, and what comes of them with betas 0.9 and 0.99.
struct GoldenMomentum {
  uint32_t momentum;
  uint32_t gradient;
  int sign;
  uint32_t float32;
  uint16_t float16;
  uint16_t bfloat16;
};

TEST(LionReferenceTest, MomentaAreThoseWrittenByHand) {
  // With b2 = 0.5: m' = m / 2 + g / 2, exact but for the rounding to 16 bits.
  constexpr LionBetas kBetas{0.5F, 0.5F, 0.5F, 0.5F};
  constexpr GoldenMomentum kGolden[] = {
      {0x3F80'0000, 0x3F80'0000, 1, 0x3F80'0000, 0x3C00, 0x3F80},   // 1
      {0x3F80'0000, 0xBF80'0000, 0, 0x0000'0000, 0x0000, 0x0000},   // 1 - 1 = +0
      {0x8000'0000, 0x8000'0000, 0, 0x8000'0000, 0x8000, 0x8000},   // -0
      {0x477F'F000, 0x477F'F000, 1, 0x477F'F000, 0x7C00, 0x4780},   // 65520 overflows
      {0xC77F'EFFF, 0xC77F'EFFF, -1, 0xC77F'EFFF, 0xFBFF, 0xC780},  // a little less does not
      {0x3380'0000, 0x0000'0000, 1, 0x3300'0000, 0x0000, 0x3300},   // 2^-25 is a tie between 0 and 2^-24
      {0x3380'0001, 0x0000'0000, 1, 0x3300'0001, 0x0001, 0x3300},   // a little more
      {0x3F80'8000, 0x3F80'8000, 1, 0x3F80'8000, 0x3C04, 0x3F80},   // a tie of bfloat16, down to even
      {0x3F81'8000, 0x3F81'8000, 1, 0x3F81'8000, 0x3C0C, 0x3F82},   // and up to even
      {0x3F80'1000, 0x3F80'1000, 1, 0x3F80'1000, 0x3C00, 0x3F80},   // a tie of float16, down to even
      {0x3F80'3000, 0x3F80'3000, 1, 0x3F80'3000, 0x3C02, 0x3F80},   // and up to even
      {0x0000'0001, 0x0000'0000, 0, 0x0000'0000, 0x0000, 0x0000},   // half of the smallest number is a tie: 0
      {0x0000'0003, 0x0000'0000, 1, 0x0000'0002, 0x0000, 0x0000},   // a tie, up to even
      {0x7F7F'FFFF, 0x7F7F'FFFF, 1, 0x7F7F'FFFF, 0x7C00, 0x7F80},   // the largest number
      {0x7F80'0000, 0x3F80'0000, 1, 0x7F80'0000, 0x7C00, 0x7F80},   // infinity
      {0xFF80'0000, 0x7F7F'FFFF, -1, 0xFF80'0000, 0xFC00, 0xFF80},  // minus infinity
      {0x7F80'0000, 0xFF80'0000, 0, 0x7FC0'0000, 0x7E00, 0x7FC0},   // infinity - infinity
      {0xFFC1'2345, 0x3F80'0000, 0, 0x7FC0'0000, 0x7E00, 0x7FC0},   // NaN
      {0x3F80'0000, 0x7F80'0001, 0, 0x7FC0'0000, 0x7E00, 0x7FC0},   // NaN that signals
  };
  for (const GoldenMomentum& golden : kGolden) {
    for (const FloatType type : kFloatTypes) {
      // Narrow momenta start from 0, with the sum as their gradient: b2 = 0, 1 - b2 = 1.
      uint32_t momentum = type == FloatType::kFloat32 ? golden.momentum : 0;
      const uint32_t gradient = type == FloatType::kFloat32 ? golden.gradient : golden.float32;
      const LionBetas betas = type == FloatType::kFloat32 ? kBetas : LionBetas{-0.0F, 1, -0.0F, 1};
      Word positive = ~Word{0};
      Word nonnegative = ~Word{0};
      reference().encodeLion({FloatType::kFloat32, type, &gradient, &momentum, betas}, 1, &positive, &nonnegative);
      const uint32_t expected = type == FloatType::kFloat32   ? golden.float32
                                : type == FloatType::kFloat16 ? golden.float16
                                                              : golden.bfloat16;
      EXPECT_EQ(momentum, expected) << typeName(type) << std::hex << " " << golden.momentum << " " << golden.gradient;
      if (type != FloatType::kFloat32) continue;
      EXPECT_EQ(positive, golden.sign > 0 ? 1U : 0U) << std::hex << golden.momentum << " " << golden.gradient;
      EXPECT_EQ(nonnegative, golden.sign >= 0 ? 1U : 0U) << std::hex << golden.momentum << " " << golden.gradient;
    }
  }
}

TEST(LionReferenceTest, ParametersAreThoseWrittenByHand) {
  // Four parameters of 1, votes +1, -1, 0 and +1 (not marked as nonnegative), rate 1/4, decay 1/2.
  const Word positive = 0b1001;
  const Word nonnegative = 0b0101;
  std::vector<float> parameters(4, 1.0F);
  const LionRounding to_nearest{false, 0, 0};
  reference().decodeVoteLion({FloatType::kFloat32, parameters.data(), 0.25F, 0.5F, to_nearest}, &positive, &nonnegative,
                             4);
  EXPECT_EQ(parameters, (std::vector<float>{0.625F, 1.125F, 0.875F, 0.625F}));

  // Without zeros the vote is -1 where it is not +1. In float16: 1 - (1 + 1/2) / 4 and 1 - (-1 + 1/2) / 4.
  std::vector<uint16_t> halves(4, 0x3C00);
  reference().decodeVoteLion({FloatType::kFloat16, halves.data(), 0.25F, 0.5F, to_nearest}, &positive, nullptr, 4);
  EXPECT_EQ(halves, (std::vector<uint16_t>{0x3900, 0x3C80, 0x3C80, 0x3900}));

  // Means -1/2 and 1/4 of counts 0 and 1, in bfloat16, no decay, rate 1: 1 + 1/2, 1 - 1/4.
  const Word counts = 0b10;
  alignas(64) const float means[] = {-0.5F, 0.25F};
  std::vector<uint16_t> averaged(2, 0x3F80);
  reference().decodeAvgLion({FloatType::kBFloat16, averaged.data(), 1, 0, to_nearest}, ConstPlanes{&counts, 1, 1},
                            means, 2);
  EXPECT_EQ(averaged, (std::vector<uint16_t>{0x3FC0, 0x3F40}));
}

TEST(LionReferenceTest, ProductsAreRoundedBeforeTheyAreAdded) {
  // 1 + 2^-12 squared is 1 + 2^-11 + 2^-24, a tie that goes down to even; minus 1 + 2^-11 leaves nothing, where a fused
  // product would leave 2^-24.
  constexpr float kFactor = 1 + 0x1p-12F;
  constexpr float kSum = 1 + 0x1p-11F;
  float momentum = kFactor;
  const float gradient = -kSum;
  Word positive = 0;
  Word nonnegative = 0;
  reference().encodeLion({FloatType::kFloat32, FloatType::kFloat32, &gradient, &momentum, {kFactor, 1, kFactor, 1}}, 1,
                         &positive, &nonnegative);
  EXPECT_EQ(momentum, 0);
  EXPECT_EQ(positive, 0U);
  EXPECT_EQ(nonnegative, 1U);
}

TEST(LionReferenceTest, DoesNotDependOnTheFloatingPointUnitAndLeavesItAsItWas) {
  std::mt19937_64 random(11);
  constexpr size_t kCount = 1000;
  constexpr LionBetas kBetas{0.9F, 0.1F, 0.99F, 0.01F};
  for (const FloatSetting setting : unusualFloatSettings()) {
    for (const FloatType type : kFloatTypes) {
      TestBuffer gradients(kCount * floatBytes(type));
      fillNumbers(type, random, gradients.data(), kCount);
      NumbersTwice momenta(type, random, kCount, 0), parameters(type, random, kCount, 0);
      TestPlanes expected(2, wordsFor(kCount)), signs(2, wordsFor(kCount));
      const LionRounding to_nearest{false, 0, 0};
      reference().encodeLion({type, type, gradients.data(), momenta.first.data(), kBetas}, kCount, expected.plane(0),
                             expected.plane(1));
      reference().decodeVoteLion({type, parameters.first.data(), 1e-3F, 0.1F, to_nearest}, expected.plane(0),
                                 expected.plane(1), kCount);
      FloatState before{}, after{};
      {
        const FloatSettingGuard guard(setting);
        before = FloatState::now();
        reference().encodeLion({type, type, gradients.data(), momenta.second.data(), kBetas}, kCount, signs.plane(0),
                               signs.plane(1));
        reference().decodeVoteLion({type, parameters.second.data(), 1e-3F, 0.1F, to_nearest}, signs.plane(0),
                                   signs.plane(1), kCount);
        after = FloatState::now();
      }
      EXPECT_TRUE(before == after) << setting.name << ", " << typeName(type);
      EXPECT_TRUE(momenta.first == momenta.second) << setting.name << ", " << typeName(type);
      EXPECT_TRUE(parameters.first == parameters.second) << setting.name << ", " << typeName(type);
      EXPECT_TRUE(signs == expected) << setting.name << ", " << typeName(type);
    }
  }
}

}  // namespace
}  // namespace signccl
