// SPDX-License-Identifier: Apache-2.0
#include "support/float_format.h"

#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace signccl {
namespace {

TEST(FloatFormatTest, QuotientsAreThoseOfTheProcessorInFloatAndDouble) {
  for (std::int64_t denominator = 1; denominator < 300; ++denominator) {
    for (std::int64_t numerator = -denominator; numerator <= denominator; ++numerator) {
      const double exact = static_cast<double>(numerator) / static_cast<double>(denominator);
      const float narrow = static_cast<float>(numerator) / static_cast<float>(denominator);
      ASSERT_EQ(roundedQuotient(numerator, denominator, kFloat64Format), std::bit_cast<std::uint64_t>(exact));
      ASSERT_EQ(roundedQuotient(numerator, denominator, kFloat32Format), std::bit_cast<std::uint32_t>(narrow));
    }
  }
}

TEST(FloatFormatTest, QuotientsInFloat16AreThoseWorkedOutByHand) {
  EXPECT_EQ(roundedQuotient(1, 1, kFloat16Format), 0x3C00U);
  EXPECT_EQ(roundedQuotient(-1, 1, kFloat16Format), 0xBC00U);
  EXPECT_EQ(roundedQuotient(0, 5, kFloat16Format), 0U);
  EXPECT_EQ(roundedQuotient(1, 3, kFloat16Format), 0x3555U);
  // 2048 / 2049 lies between 2047 / 2048, the last number below 1, and 1, and is nearer to the former.
  EXPECT_EQ(roundedQuotient(2048, 2049, kFloat16Format), 0x3BFFU);
  // 4095 / 4096 is half way between the two and goes to the even one.
  EXPECT_EQ(roundedQuotient(4095, 4096, kFloat16Format), 0x3C00U);
  // Subnormals count 2^-24: 1 / 32767 is 512.016 of them, 1 / 2^25 is half of one, and 3 / 2^25 one and a half.
  EXPECT_EQ(roundedQuotient(1, 32767, kFloat16Format), 0x0200U);
  EXPECT_EQ(roundedQuotient(1, 1 << 25, kFloat16Format), 0U);
  EXPECT_EQ(roundedQuotient(3, 1 << 25, kFloat16Format), 2U);
}

TEST(FloatFormatTest, QuotientsInBFloat16AreThoseWorkedOutByHand) {
  EXPECT_EQ(roundedQuotient(1, 3, kBFloat16Format), 0x3EABU);  // 170.67 / 512
  EXPECT_EQ(roundedQuotient(-1, 32767, kBFloat16Format), 0xB800U);
  EXPECT_EQ(roundedQuotient(511, 512, kBFloat16Format), 0x3F80U);  // half way between 255 / 256 and 1
}

TEST(FloatFormatTest, ZerosAndNansHaveNoSign) {
  using Limits = std::numeric_limits<float>;
  const auto sign = [](float value) { return signOfPattern(std::bit_cast<std::uint32_t>(value), kFloat32Format); };
  for (const float value : {0.0F, Limits::quiet_NaN(), Limits::signaling_NaN()}) {
    EXPECT_EQ(sign(value), 0);
    EXPECT_EQ(sign(-value), 0);
  }
  for (const float value : {1.5F, Limits::denorm_min(), Limits::infinity(), Limits::max()}) {
    EXPECT_EQ(sign(value), 1);
    EXPECT_EQ(sign(-value), -1);
  }
}

}  // namespace
}  // namespace signccl
