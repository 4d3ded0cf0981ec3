// SPDX-License-Identifier: Apache-2.0
// encodeLion: every instance against the reference, bit for bit.
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "lion_test_support.h"

namespace signccl {
namespace {

constexpr LionBetas kUsualBetas{0.9F, 0.1F, 0.99F, 0.01F};
/// m' is m, or g but for the sign of zero.
constexpr LionBetas kMomentumOnly{1, 0, 1, 0};
constexpr LionBetas kGradientOnly{0, 1, 0, 1};

struct EncodeCase {
  FloatType gradient_type;
  FloatType momentum_type;
  bool has_gradients = true;
  LionBetas betas = kUsualBetas;
  size_t count = 0;
  size_t gradient_offset = 0;
  size_t momentum_offset = 0;
};

std::ostream& operator<<(std::ostream& out, const EncodeCase& c) {
  return out << "gradients " << (c.has_gradients ? typeName(c.gradient_type) : "none") << " at " << c.gradient_offset
             << ", momenta " << typeName(c.momentum_type) << " at " << c.momentum_offset << ", count " << c.count
             << ", betas " << c.betas.beta1 << " " << c.betas.one_minus_beta1 << " " << c.betas.beta2 << " "
             << c.betas.one_minus_beta2;
}

/// All pairs of types, and all types of momenta without gradients.
std::vector<EncodeCase> typeCases() {
  std::vector<EncodeCase> cases;
  for (const FloatType momentum : kFloatTypes) {
    for (const FloatType gradient : kFloatTypes) {
      cases.push_back({.gradient_type = gradient, .momentum_type = momentum});
    }
    cases.push_back({.gradient_type = FloatType::kFloat32, .momentum_type = momentum, .has_gradients = false});
  }
  return cases;
}

class LionEncodeTest : public KernelsTest {
 protected:
  void expectEqualToReference(const EncodeCase& c) {
    for (const bool ternary : {false, true}) {
      TestBuffer gradients(c.count * floatBytes(c.gradient_type), c.gradient_offset);
      fillNumbers(c.gradient_type, random(), gradients.data(), c.count);
      NumbersTwice momenta(c.momentum_type, random(), c.count, c.momentum_offset);
      const size_t plane_bytes = elementBytes(ElementType::kBits, c.count);
      TestBuffer expected_positive(plane_bytes), expected_nonnegative(plane_bytes);
      TestBuffer positive(plane_bytes), nonnegative(plane_bytes);
      LionMomenta lion{c.gradient_type, c.momentum_type, c.has_gradients ? gradients.data() : nullptr,
                       momenta.first.data(), c.betas};
      reference().encodeLion(lion, c.count, ternary ? expected_positive.words() : nullptr,
                             expected_nonnegative.words());
      lion.momenta = momenta.second.data();
      kernels().encodeLion(lion, c.count, ternary ? positive.words() : nullptr, nonnegative.words());
      ASSERT_TRUE(momenta.first == momenta.second) << c;
      ASSERT_TRUE(positive == expected_positive) << c;
      ASSERT_TRUE(nonnegative == expected_nonnegative) << c << ", ternary " << ternary;
    }
  }
};

TEST_P(LionEncodeTest, EqualsTheReferenceForEveryCount) {
  for (EncodeCase c : typeCases()) {
    for (const size_t count : lionCountGrid()) {
      c.count = count;
      ASSERT_NO_FATAL_FAILURE(expectEqualToReference(c));
    }
  }
}

TEST_P(LionEncodeTest, EqualsTheReferenceForEveryMisalignment) {
  for (EncodeCase c : typeCases()) {
    for (const size_t count : {size_t{1}, size_t{64}, size_t{200}}) {
      c.count = count;
      for (const size_t gradient_offset : kLionOffsets) {
        c.gradient_offset = gradient_offset;
        for (const size_t momentum_offset : kLionOffsets) {
          c.momentum_offset = momentum_offset;
          ASSERT_NO_FATAL_FAILURE(expectEqualToReference(c));
        }
      }
    }
  }
}

TEST_P(LionEncodeTest, EqualsTheReferenceForBetasOfEveryKind) {
  using Limits = std::numeric_limits<float>;
  const float nan = Limits::quiet_NaN();
  const LionBetas betas[] = {kMomentumOnly,
                             kGradientOnly,
                             {0, 0, -0.0F, -0.0F},
                             {1, -1, 0.5F, 0.5F},
                             {-0.9F, -0.1F, -0.99F, -0.01F},
                             {1 + Limits::epsilon(), Limits::epsilon(), 1 - Limits::epsilon(), 0x1p-24F},
                             {Limits::denorm_min(), 1, 0x1p-126F, 0x1p-140F},
                             {Limits::max(), Limits::max(), Limits::max(), -Limits::max()},
                             {Limits::infinity(), 1, 1, -Limits::infinity()},
                             {nan, 1, 1, -nan}};
  for (EncodeCase c : typeCases()) {
    c.count = kCoarseGrid ? 300 : 3000;
    for (const LionBetas& b : betas) {
      c.betas = b;
      ASSERT_NO_FATAL_FAILURE(expectEqualToReference(c));
    }
  }
}

/// Every number of 16 bits as a float32, the middle between it and the next one, and the neighbours of both.
std::vector<uint32_t> floatsAroundAll(FloatType type) {
  std::vector<uint32_t> floats;
  const auto of = [&](uint32_t pattern) {
    if (type == FloatType::kBFloat16) return pattern << 16;
    const uint32_t exponent = pattern >> 10 & 31;
    const uint32_t fraction = pattern & 0x3FF;
    const float magnitude = exponent == 0
                                ? std::ldexp(static_cast<float>(fraction), -24)
                                : std::ldexp(static_cast<float>(fraction + 1024), static_cast<int>(exponent) - 25);
    return std::bit_cast<uint32_t>(magnitude) | (pattern & 0x8000) << 16;
  };
  const uint32_t infinity = type == FloatType::kBFloat16 ? 0x7F80 : 0x7C00;
  for (const uint32_t sign : {0U, 0x8000U}) {
    for (uint32_t pattern = sign; pattern < (sign | infinity); ++pattern) {
      const uint32_t here = of(pattern);
      const uint32_t middle = here + (of(pattern + 1) - here) / 2;
      floats.insert(floats.end(), {here, here + 1, middle - 1, middle, middle + 1});
    }
  }
  return floats;
}

TEST_P(LionEncodeTest, RoundsAroundEveryNumberOf16BitsLikeTheReference) {
  for (const FloatType type : {FloatType::kFloat16, FloatType::kBFloat16}) {
    const std::vector<uint32_t> gradients = floatsAroundAll(type);
    std::vector<uint16_t> expected(gradients.size()), momenta(gradients.size());
    std::vector<Word> signs(wordsFor(gradients.size()));
    LionMomenta lion{FloatType::kFloat32, type, gradients.data(), expected.data(), kGradientOnly};
    reference().encodeLion(lion, gradients.size(), nullptr, signs.data());
    lion.momenta = momenta.data();
    kernels().encodeLion(lion, gradients.size(), nullptr, signs.data());
    EXPECT_EQ(momenta, expected) << typeName(type);
  }
}

TEST_P(LionEncodeTest, WidensEveryPatternOf16BitsLikeTheReference) {
  std::vector<uint16_t> gradients(1 << 16);
  for (size_t i = 0; i < gradients.size(); ++i) gradients[i] = static_cast<uint16_t>(i);
  for (const FloatType type : {FloatType::kFloat16, FloatType::kBFloat16}) {
    std::vector<uint32_t> expected(gradients.size()), momenta(gradients.size());
    std::vector<Word> signs(wordsFor(gradients.size()));
    LionMomenta lion{type, FloatType::kFloat32, gradients.data(), expected.data(), kGradientOnly};
    reference().encodeLion(lion, gradients.size(), nullptr, signs.data());
    lion.momenta = momenta.data();
    kernels().encodeLion(lion, gradients.size(), nullptr, signs.data());
    EXPECT_EQ(momenta, expected) << typeName(type);
  }
}

/// Denormals among the factors show whether any arithmetic, even with factors alone, is outside the kernel's own mode.
constexpr LionBetas kDenormalBetas{0.9F, 0x1p-130F, 0x1p-140F, 1};

TEST_P(LionEncodeTest, DoesNotDependOnTheFloatingPointUnitAndLeavesItAsItWas) {
  constexpr size_t kCount = 1000;
  for (EncodeCase c : typeCases()) {
    for (const FloatSetting setting : unusualFloatSettings()) {
      for (const LionBetas& betas : {kUsualBetas, kDenormalBetas}) {
        c.betas = betas;
        TestBuffer gradients(kCount * floatBytes(c.gradient_type));
        fillNumbers(c.gradient_type, random(), gradients.data(), kCount);
        NumbersTwice momenta(c.momentum_type, random(), kCount, 1);
        TestPlanes expected(2, wordsFor(kCount)), signs(2, wordsFor(kCount));
        LionMomenta lion{c.gradient_type, c.momentum_type, c.has_gradients ? gradients.data() : nullptr,
                         momenta.first.data(), betas};
        reference().encodeLion(lion, kCount, expected.plane(0), expected.plane(1));
        lion.momenta = momenta.second.data();
        FloatState before{}, after{};
        {
          const FloatSettingGuard guard(setting);
          before = FloatState::now();
          kernels().encodeLion(lion, kCount, signs.plane(0), signs.plane(1));
          after = FloatState::now();
        }
        EXPECT_TRUE(before == after) << setting.name << ", " << c;
        EXPECT_TRUE(momenta.first == momenta.second) << setting.name << ", " << c;
        EXPECT_TRUE(signs == expected) << setting.name << ", " << c;
      }
    }
  }
}

SIGNCCL_FOR_ALL_KERNELS(LionEncodeTest);

}  // namespace
}  // namespace signccl
