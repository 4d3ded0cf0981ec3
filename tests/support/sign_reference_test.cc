// SPDX-License-Identifier: Apache-2.0
#include "support/sign_reference.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <utility>

#include <gtest/gtest.h>

namespace signccl {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Results of float inputs, one vector per rank.
template <typename T>
std::vector<T> resultOf(ReferenceCall call, const std::vector<std::vector<float>>& inputs) {
  std::vector<const std::byte*> pointers;
  for (const auto& input : inputs) pointers.push_back(reinterpret_cast<const std::byte*>(input.data()));
  call.count = inputs[0].size();
  const std::vector<std::byte> bytes = referenceResult(call, pointers);
  std::vector<T> result(bytes.size() / sizeof(T));
  std::memcpy(result.data(), bytes.data(), bytes.size());
  return result;
}

TEST(SignReferenceTest, BinaryZerosAndNansCountAsPositive) {
  const ReferenceCall call{.op = SignOp::kAvg, .recvtype = ElementType::kInt8};
  EXPECT_EQ(resultOf<std::int8_t>(call, {{0.0F, -0.0F, kNan, -1.0F, 2.0F}}),
            (std::vector<std::int8_t>{1, 1, 1, -1, 1}));
}

TEST(SignReferenceTest, TernaryZerosAndNansAbstain) {
  const ReferenceCall call{.op = SignOp::kAvg, .is_ternary = true, .recvtype = ElementType::kInt8};
  EXPECT_EQ(resultOf<std::int8_t>(call, {{0.0F, -0.0F, kNan, -1.0F, 2.0F}}),
            (std::vector<std::int8_t>{0, 0, 0, -1, 1}));
}

TEST(SignReferenceTest, MeansAreFractionsOfTheRanks) {
  const ReferenceCall call{.op = SignOp::kAvg};
  EXPECT_EQ(resultOf<float>(call, {{1, 1}, {1, -1}, {-1, -1}}), (std::vector<float>{1.0F / 3, -1.0F / 3}));
}

TEST(SignReferenceTest, TiesFollowTheRule) {
  const std::vector<std::vector<float>> tied = {{1, 1, 1}, {-1, -1, 1}};
  const auto with = [&](TieRule tie, std::uint64_t number) {
    return resultOf<float>({.tie = tie, .call = number}, tied);
  };
  EXPECT_EQ(with(TieRule::kZero, 0), (std::vector<float>{0, 0, 1}));
  EXPECT_EQ(with(TieRule::kPositive, 0), (std::vector<float>{1, 1, 1}));
  EXPECT_EQ(with(TieRule::kNegative, 0), (std::vector<float>{-1, -1, 1}));
  EXPECT_EQ(with(TieRule::kRandom, 0), (std::vector<float>{-1, 1, 1}));
  EXPECT_EQ(with(TieRule::kRandom, 1), (std::vector<float>{1, 1, 1}));
}

TEST(SignReferenceTest, BitsArePackedWithPaddingZero) {
  const ReferenceCall call{.recvtype = ElementType::kBits};
  EXPECT_EQ(resultOf<std::uint64_t>(call, {{1, -1, -1, 1}}), std::vector<std::uint64_t>{0b1001});
}

TEST(SignReferenceTest, InputsHoldEveryKindOfValueWithBothSigns) {
  std::mt19937_64 random(1);
  std::vector<float> values(1000);
  fillElements(ElementType::kFloat32, values.size(), random, reinterpret_cast<std::byte*>(values.data()));
  std::set<std::pair<int, bool>> kinds;
  for (const float value : values) kinds.insert({std::fpclassify(value), std::signbit(value)});
  EXPECT_EQ(kinds.size(), 10U);
}

}  // namespace
}  // namespace signccl
