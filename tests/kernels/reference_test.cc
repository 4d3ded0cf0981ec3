// SPDX-License-Identifier: Apache-2.0
// The reference against truths written by hand: it is the meaning of all other instances.
#include <cmath>
#include <cstring>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/kernels.h"

namespace signccl {
namespace {

const Kernels& reference() { return referenceKernels(); }

/// Bits of `word` from element 0 on, as text.
std::string bitsOf(Word word, size_t count) {
  std::string text;
  for (size_t e = 0; e < count; ++e) text += ((word >> e) & 1) != 0 ? '1' : '0';
  return text;
}

struct Signs {
  std::string positive;
  std::string nonnegative;

  friend bool operator==(const Signs&, const Signs&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Signs& s) {
    return out << "{" << s.positive << ", " << s.nonnegative << "}";
  }
};

template <typename T>
Signs encode(ElementType type, const std::vector<T>& elements) {
  Word positive = ~Word{0};
  Word nonnegative = ~Word{0};
  Word binary = ~Word{0};
  reference().encodeTernary(type, elements.data(), elements.size(), &positive, &nonnegative);
  reference().encodeBinary(type, elements.data(), elements.size(), &binary);
  EXPECT_EQ(binary, nonnegative);
  EXPECT_EQ((positive | nonnegative) >> elements.size(), 0U) << "padding is not clear";
  return {bitsOf(positive, elements.size()), bitsOf(nonnegative, elements.size())};
}

TEST(ReferenceTest, SignsOfFloatsFollowTheirOrderAroundZero) {
  using Limits = std::numeric_limits<float>;
  const std::vector<float> elements = {1.5F,
                                       -1.5F,
                                       0.0F,
                                       -0.0F,
                                       Limits::infinity(),
                                       -Limits::infinity(),
                                       Limits::denorm_min(),
                                       -Limits::denorm_min(),
                                       Limits::max(),
                                       Limits::lowest(),
                                       std::nanf(""),
                                       std::copysign(std::nanf(""), -1.0F)};
  EXPECT_EQ(encode(ElementType::kFloat32, elements), (Signs{"100010101000", "101110101011"}));
}

TEST(ReferenceTest, SignsOfDoublesFollowTheirOrderAroundZero) {
  using Limits = std::numeric_limits<double>;
  const std::vector<double> elements = {2.0,
                                        -2.0,
                                        0.0,
                                        -0.0,
                                        Limits::infinity(),
                                        -Limits::infinity(),
                                        Limits::denorm_min(),
                                        -Limits::denorm_min(),
                                        std::nan(""),
                                        std::copysign(std::nan(""), -1.0)};
  EXPECT_EQ(encode(ElementType::kFloat64, elements), (Signs{"1000101000", "1011101011"}));
}

TEST(ReferenceTest, SignsOfHalvesFollowTheirOrderAroundZero) {
  // 1, -1, 0, -0, infinity, -infinity, smallest denormal and its negative, signalling and quiet NaN of both signs.
  const std::vector<uint16_t> float16 = {0x3C00, 0xBC00, 0x0000, 0x8000, 0x7C00, 0xFC00,
                                         0x0001, 0x8001, 0x7C01, 0xFC01, 0x7E00, 0xFE00};
  const std::vector<uint16_t> bfloat16 = {0x3F80, 0xBF80, 0x0000, 0x8000, 0x7F80, 0xFF80,
                                          0x0001, 0x8001, 0x7F81, 0xFF81, 0x7FC0, 0xFFC0};
  const Signs expected = {"100010100000", "101110101111"};
  EXPECT_EQ(encode(ElementType::kFloat16, float16), expected);
  EXPECT_EQ(encode(ElementType::kBFloat16, bfloat16), expected);
}

TEST(ReferenceTest, SignsOfBytesAreThoseOfSignedNumbers) {
  const std::vector<int8_t> elements = {0, 1, -1, 127, -128};
  EXPECT_EQ(encode(ElementType::kInt8, elements), (Signs{"01010", "11010"}));
}

TEST(ReferenceTest, PackedSignsAreCopiedWithClearPadding) {
  const Word packed = 0b1111'0110;
  Word positive = ~Word{0};
  Word nonnegative = ~Word{0};
  reference().encodeTernary(ElementType::kBits, &packed, 4, &positive, &nonnegative);
  EXPECT_EQ(positive, 0b0110U);
  EXPECT_EQ(nonnegative, 0b0110U);

  Word decoded = ~Word{0};
  reference().decodeVote(ElementType::kBits, &packed, nullptr, 5, &decoded, Store::kCached);
  EXPECT_EQ(decoded, 0b1'0110U);
}

TEST(ReferenceTest, CountsAreSumsOfBitsPerElement) {
  const Word inputs[] = {0b0011, 0b0101, 0b0001};
  const Word* const pointers[] = {&inputs[0], &inputs[1], &inputs[2]};
  Word planes[2];
  reference().count(pointers, 3, 1, {planes, 1, 2});
  EXPECT_EQ(planes[0], 0b0111U);  // element 0: 3 votes, elements 1 and 2: 1 vote
  EXPECT_EQ(planes[1], 0b0001U);
}

/// One word of planes in which element e holds numbers[e].
std::vector<Word> planesOf(const std::vector<uint64_t>& numbers, int nplanes) {
  std::vector<Word> planes(static_cast<size_t>(nplanes));
  for (size_t e = 0; e < numbers.size(); ++e) {
    for (size_t j = 0; j < planes.size(); ++j) planes[j] |= ((numbers[e] >> j) & 1) << e;
  }
  return planes;
}

std::vector<uint64_t> numbersOf(const std::vector<Word>& planes, size_t count) {
  std::vector<uint64_t> numbers(count);
  for (size_t e = 0; e < count; ++e) {
    for (size_t j = 0; j < planes.size(); ++j) numbers[e] |= ((planes[j] >> e) & 1) << j;
  }
  return numbers;
}

TEST(ReferenceTest, MergeAddsModuloTheWidthOfTheSum) {
  const std::vector<Word> a = planesOf({0, 1, 7, 7, 5}, 3);
  const std::vector<Word> b = planesOf({0, 1, 1, 3, 2}, 2);
  std::vector<Word> sum(4);
  reference().merge({a.data(), 1, 3}, {b.data(), 1, 2}, 1, {sum.data(), 1, 4});
  EXPECT_EQ(numbersOf(sum, 5), (std::vector<uint64_t>{0, 2, 8, 10, 7}));
  std::vector<Word> narrow(3);
  reference().merge({a.data(), 1, 3}, {b.data(), 1, 2}, 1, {narrow.data(), 1, 3});
  EXPECT_EQ(numbersOf(narrow, 5), (std::vector<uint64_t>{0, 2, 0, 2, 7}));
}

TEST(ReferenceTest, ClampLimitsAndShifts) {
  const std::vector<Word> in = planesOf({0, 2, 3, 4, 5, 6, 7}, 3);
  std::vector<Word> out(2);
  reference().clamp({in.data(), 1, 3}, 3, 5, 1, {out.data(), 1, 2});
  EXPECT_EQ(numbersOf(out, 7), (std::vector<uint64_t>{0, 0, 0, 1, 2, 2, 2}));
}

TEST(ReferenceTest, DecideSplitsCountsAtTheThreshold) {
  const std::vector<Word> counts = planesOf({0, 1, 2, 3, 2}, 2);  // elements 2 and 4 are ties
  Word positive = 0;
  Word nonnegative = 0;
  reference().decide({counts.data(), 1, 2}, 3, true, sameTies(0b01010), 1, &positive, &nonnegative);
  EXPECT_EQ(bitsOf(positive, 5), "00010");
  EXPECT_EQ(bitsOf(nonnegative, 5), "00111");
  reference().decide({counts.data(), 1, 2}, 3, true, sameTies(0b10000), 1, &positive, &nonnegative);
  EXPECT_EQ(bitsOf(positive, 5), "00011");
  reference().decide({counts.data(), 1, 2}, 3, false, sameTies(~Word{0}), 1, &positive, &nonnegative);
  EXPECT_EQ(bitsOf(positive, 5), "00010");
  EXPECT_EQ(bitsOf(nonnegative, 5), "00010");
  reference().decide({counts.data(), 1, 2}, 0, true, sameTies(0), 1, &positive, &nonnegative);
  EXPECT_EQ(bitsOf(positive, 5), "11111");
  reference().decide({counts.data(), 1, 2}, 4, false, sameTies(0), 1, &positive, nullptr);
  EXPECT_EQ(bitsOf(positive, 5), "00000");
}

TEST(ReferenceTest, RestoreTopFindsTheCountThatHoldsTheOwnVotes) {
  // Modulo 4: own votes 0, 1, 2; the number is in [own, own + 3].
  const std::vector<Word> low = planesOf({0, 3, 0, 1, 0, 1, 2, 3}, 2);
  const Word own_nonnegative = 0b11111100;
  const Word own_positive = 0b11110000;
  Word top = 0;
  reference().restoreTop({low.data(), 1, 2}, &own_positive, &own_nonnegative, 1, &top);
  EXPECT_EQ(bitsOf(top, 8), "00101100");
  reference().restoreTop({low.data(), 1, 2}, nullptr, &own_nonnegative, 1, &top);
  EXPECT_EQ(bitsOf(top, 8), "00101000");
  reference().restoreTop({nullptr, 0, 0}, nullptr, &own_nonnegative, 1, &top);
  EXPECT_EQ(bitsOf(top, 8), "00111111");
}

template <typename T>
std::vector<T> decode(ElementType type) {
  const Word positive = 0b1001;     // element 3 is positive although it is not marked as nonnegative
  const Word nonnegative = 0b0101;  // element 2 is a zero
  std::vector<T> elements(4, T{7});
  reference().decodeVote(type, &positive, &nonnegative, 4, elements.data(), Store::kCached);
  return elements;
}

TEST(ReferenceTest, VotesBecomePlusOneZeroAndMinusOne) {
  EXPECT_EQ(decode<float>(ElementType::kFloat32), (std::vector<float>{1, -1, 0, 1}));
  EXPECT_EQ(decode<double>(ElementType::kFloat64), (std::vector<double>{1, -1, 0, 1}));
  EXPECT_EQ(decode<int8_t>(ElementType::kInt8), (std::vector<int8_t>{1, -1, 0, 1}));
  EXPECT_EQ(decode<uint16_t>(ElementType::kFloat16), (std::vector<uint16_t>{0x3C00, 0xBC00, 0, 0x3C00}));
  EXPECT_EQ(decode<uint16_t>(ElementType::kBFloat16), (std::vector<uint16_t>{0x3F80, 0xBF80, 0, 0x3F80}));
}

TEST(ReferenceTest, MeansAreLookedUpByCount) {
  const std::vector<Word> counts = planesOf({3, 0, 2, 1}, 2);
  alignas(64) const float table[] = {-1.0F, -0.25F, 0.25F, 1.0F};
  std::vector<float> means(4);
  reference().decodeAvg(ElementType::kFloat32, ConstPlanes{counts.data(), 1, 2}, table, 4, means.data(),
                        Store::kCached);
  EXPECT_EQ(means, (std::vector<float>{1.0F, -1.0F, 0.25F, -0.25F}));
}

TEST(ReferenceTest, OwnVotesCompleteCountsThatAreZeroModuloTheRanks) {
  const std::vector<Word> low = planesOf({0, 0, 1, 1}, 1);
  const Word own = 0b1010;
  alignas(64) const float table[] = {-1.0F, 0.0F, 1.0F, 9.0F};
  std::vector<float> means(4);
  reference().decodeAvg(ElementType::kFloat32, {{low.data(), 1, 1}, &own}, table, 4, means.data(), Store::kCached);
  EXPECT_EQ(means, (std::vector<float>{-1.0F, 1.0F, 0.0F, 0.0F}));
}

}  // namespace
}  // namespace signccl
