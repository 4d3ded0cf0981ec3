// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/float_format.h"

#include <bit>
#include <cmath>

#include <gtest/gtest.h>

namespace signccl::perf {
namespace {

TEST(FloatFormatTest, DecodesEveryHalf) {
  // Known points of binary16; every other pattern must lie between its neighbours.
  EXPECT_EQ(decode(kHalf, 0x3c00), 1.0);
  EXPECT_EQ(decode(kHalf, 0xc000), -2.0);
  EXPECT_EQ(decode(kHalf, 0x7bff), 65504.0);
  EXPECT_EQ(decode(kHalf, 0x0001), 0x1p-24);
  EXPECT_TRUE(std::isinf(decode(kHalf, 0x7c00)));
  EXPECT_TRUE(std::isnan(decode(kHalf, 0x7e00)));
  for (std::uint64_t bits = 0; bits < 0x7c00; ++bits) EXPECT_LT(decode(kHalf, bits), decode(kHalf, bits + 1)) << bits;
}

TEST(FloatFormatTest, EncodesWhatItDecodes) {
  for (std::uint64_t bits = 0; bits < 0x7c00; ++bits) {
    EXPECT_EQ(encode(kHalf, decode(kHalf, bits)), bits);
    EXPECT_EQ(encode(kHalf, decode(kHalf, bits | 0x8000)), bits | 0x8000);
  }
  for (std::uint64_t bits = 0; bits < 0x7f80; ++bits) EXPECT_EQ(encode(kBfloat16, decode(kBfloat16, bits)), bits);
}

TEST(FloatFormatTest, RoundsTiesToEven) {
  EXPECT_EQ(encode(kHalf, 1 + 0x1p-11), 0x3c00U);
  EXPECT_EQ(encode(kHalf, 1 + 3 * 0x1p-11), 0x3c02U);
  EXPECT_EQ(encode(kHalf, 0x1p-25), 0U);
  EXPECT_EQ(encode(kHalf, 3 * 0x1p-25), 2U);
}

TEST(FloatFormatTest, ACarryOutOfTheMantissaRaisesTheExponent) {
  EXPECT_EQ(encode(kHalf, 2 - 0x1p-12), encode(kHalf, 2));
  EXPECT_EQ(decode(kHalf, encode(kHalf, 0x1p-14 - 0x1p-26)), 0x1p-14);  // from subnormal to normal
}

TEST(FloatFormatTest, FloatAgreesWithTheHardware) {
  for (int i = 0; i < 100000; ++i) {  // from the subnormals on, with mantissas all over
    const double value = std::exp2(-150 + 0.0025 * i) * (i % 2 == 0 ? 1 : -1);
    EXPECT_EQ(encode(kFloat, value), std::bit_cast<std::uint32_t>(static_cast<float>(value))) << value;
    EXPECT_EQ(encode(kDouble, value), std::bit_cast<std::uint64_t>(value)) << value;
  }
}

}  // namespace
}  // namespace signccl::perf
