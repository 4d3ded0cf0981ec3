// SPDX-License-Identifier: Apache-2.0
#include "rules/values.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace signccl::rules {
namespace {

/// `count` elements +1 and -1 by turns, with `other` at `place`, at an address that is aligned to nothing.
template <typename Element>
LocalValues checkWith(ElementType type, Element plus, Element minus, Element other, std::size_t place,
                      std::size_t count) {
  std::vector<unsigned char> bytes(count * sizeof(Element) + 1);
  for (std::size_t i = 0; i < count; ++i) {
    const Element element = i == place ? other : (i % 2 == 0 ? plus : minus);
    std::memcpy(&bytes[1 + i * sizeof element], &element, sizeof element);
  }
  return checkValues(&bytes[1], count, type);
}

/// Checks a type at places that are special to blocks and vectors. `half` and `nan` are two elements that do not fit.
template <typename Element>
void checkType(ElementType type, Element plus, Element minus, Element zero, Element two) {
  for (const std::size_t count : {1U, 7U, 1024U, 1025U, 3000U}) {
    EXPECT_EQ(checkWith(type, plus, minus, plus, 0, count).values, Values::kSigns);
    EXPECT_EQ(checkWith(type, plus, minus, plus, 0, count).first_index, -1);
    for (const std::size_t place : {std::size_t{0}, count / 2, count - 1}) {
      const LocalValues with_zero = checkWith(type, plus, minus, zero, place, count);
      EXPECT_EQ(with_zero.values, Values::kZeros) << place << " of " << count;
      EXPECT_EQ(with_zero.first_index, static_cast<std::int64_t>(place));
      EXPECT_EQ(with_zero.first_value, 0.0);
      const LocalValues with_two = checkWith(type, plus, minus, two, place, count);
      EXPECT_EQ(with_two.values, Values::kOther) << place << " of " << count;
      EXPECT_EQ(with_two.first_index, static_cast<std::int64_t>(place));
      EXPECT_EQ(with_two.first_value, 2.0);
    }
  }
}

TEST(ValuesTest, EveryTypeIsChecked) {
  checkType<std::int8_t>(ElementType::kInt8, 1, -1, 0, 2);
  checkType<std::uint16_t>(ElementType::kFloat16, 0x3c00, 0xbc00, 0, 0x4000);
  checkType<std::uint16_t>(ElementType::kBfloat16, 0x3f80, 0xbf80, 0, 0x4000);
  checkType<float>(ElementType::kFloat32, 1, -1, 0, 2);
  checkType<double>(ElementType::kFloat64, 1, -1, 0, 2);
}

TEST(ValuesTest, MinusZeroAndNanAreNoSigns) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(checkWith(ElementType::kFloat32, 1.0F, -1.0F, -0.0F, 3, 9).values, Values::kOther);
  EXPECT_TRUE(std::signbit(checkWith(ElementType::kFloat32, 1.0F, -1.0F, -0.0F, 3, 9).first_value));
  EXPECT_EQ(checkWith(ElementType::kFloat32, 1.0F, -1.0F, kNan, 3, 9).values, Values::kOther);
  EXPECT_TRUE(std::isnan(checkWith(ElementType::kFloat32, 1.0F, -1.0F, kNan, 3, 9).first_value));
  EXPECT_EQ(checkWith<std::uint16_t>(ElementType::kFloat16, 0x3c00, 0xbc00, 0x8000, 3, 9).values, Values::kOther);
  EXPECT_EQ(checkWith<std::uint16_t>(ElementType::kBfloat16, 0x3f80, 0xbf80, 0x8000, 3, 9).values, Values::kOther);
  EXPECT_EQ(checkWith(ElementType::kFloat64, 1.0, -1.0, -0.0, 3, 9).values, Values::kOther);
}

TEST(ValuesTest, TheFirstOtherValueIsFoundBehindZeros) {
  std::vector<std::int8_t> elements(3000, 1);
  elements[5] = 0;
  elements[2500] = -128;
  elements[2600] = 7;
  const LocalValues found = checkValues(elements.data(), elements.size(), ElementType::kInt8);
  EXPECT_EQ(found.values, Values::kOther);
  EXPECT_EQ(found.first_index, 2500);
  EXPECT_EQ(found.first_value, -128.0);
}

double float16(std::uint16_t bits) { return checkValues(&bits, 1, ElementType::kFloat16).first_value; }

TEST(ValuesTest, ValuesOfFloat16AreExact) {
  EXPECT_EQ(float16(0x0001), std::ldexp(1.0, -24));
  EXPECT_EQ(float16(0x0400), std::ldexp(1.0, -14));
  EXPECT_EQ(float16(0x7bff), 65504.0);
  EXPECT_EQ(float16(0xfc00), -HUGE_VAL);
  EXPECT_TRUE(std::isnan(float16(0x7e00)));
}

TEST(ValuesTest, NoElementsAreSigns) { EXPECT_EQ(checkValues(nullptr, 0, ElementType::kInt8).values, Values::kSigns); }

}  // namespace
}  // namespace signccl::rules
