// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/reference.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "sign_all_reduce_perf/element_types.h"
#include "support/random_tie.h"

namespace signccl::perf {
namespace {

constexpr std::size_t kCount = 5000;

std::vector<std::byte> inputOf(signcclDataType_t type, int rank, std::size_t count = kCount,
                               InputValues values = InputValues::kAny) {
  std::vector<std::byte> buffer(bufferBytes(type, count));
  fillInput(type, values, rank, 7, count, buffer.data());
  return buffer;
}

template <typename T>
T element(const std::vector<std::byte>& buffer, std::size_t index) {
  T value{};
  std::memcpy(&value, buffer.data() + index * sizeof(T), sizeof(T));
  return value;
}

TEST(ReferenceTest, FloatInputsHoldEveryKindOfValue) {
  const auto buffer = inputOf(signcclFloat32, 0);
  std::set<std::pair<int, bool>> seen;
  for (std::size_t i = 0; i < kCount; ++i) {
    const auto value = element<float>(buffer, i);
    seen.insert({std::fpclassify(value), std::signbit(value)});
  }
  for (const int kind : {FP_ZERO, FP_NAN, FP_INFINITE, FP_SUBNORMAL, FP_NORMAL}) {
    EXPECT_TRUE(seen.contains({kind, false})) << kind;
    EXPECT_TRUE(seen.contains({kind, true})) << kind;
  }
}

TEST(ReferenceTest, Int8InputsHoldTheWholeRange) {
  const auto buffer = inputOf(signcclInt8, 0, 20000);
  std::set<int> seen;
  for (std::size_t i = 0; i < 20000; ++i) seen.insert(element<std::int8_t>(buffer, i));
  EXPECT_TRUE(seen.contains(-128) && seen.contains(-1) && seen.contains(0) && seen.contains(1) && seen.contains(127));
}

TEST(ReferenceTest, InputsOfSumsAreSignsAndZerosWhereTheyMayBe) {
  for (const auto zero : {signcclZeroBinary, signcclZeroTernary}) {
    const InputValues values = inputValuesOf(SignOp::kSum, zero);
    const auto floats = inputOf(signcclFloat32, 0, kCount, values);
    const auto bytes = inputOf(signcclInt8, 0, kCount, values);
    std::set<std::uint32_t> float_bits;
    std::set<int> integers;
    for (std::size_t i = 0; i < kCount; ++i) {
      float_bits.insert(element<std::uint32_t>(floats, i));
      integers.insert(element<std::int8_t>(bytes, i));
    }
    std::set<std::uint32_t> wanted_bits = {0x3f800000, 0xbf800000};
    std::set<int> wanted = {-1, 1};
    if (zero == signcclZeroTernary) {
      wanted_bits.insert(0);
      wanted.insert(0);
    }
    EXPECT_EQ(float_bits, wanted_bits);
    EXPECT_EQ(integers, wanted);
  }
}

TEST(ReferenceTest, RanksHaveDifferentInputs) {
  for (const auto type : sendTypes()) EXPECT_NE(inputOf(type, 0), inputOf(type, 1)) << typeName(type);
}

/// Results from the library's rules, written out once more in the plainest way, for float in and out.
std::vector<std::byte> plainResult(const CheckedCall& call) {
  std::vector<std::byte> buffer(call.count * sizeof(float));
  std::vector<std::vector<std::byte>> inputs;
  inputs.reserve(static_cast<std::size_t>(call.nranks));
  const InputValues values = inputValuesOf(call.op, call.zero_rule);
  for (int rank = 0; rank < call.nranks; ++rank) inputs.push_back(inputOf(signcclFloat32, rank, call.count, values));
  for (std::size_t i = 0; i < call.count; ++i) {
    int sum = 0;
    for (const auto& input : inputs) {
      const auto x = element<float>(input, i);
      const bool abstains = call.zero_rule == signcclZeroTernary && !(x < 0) && !(x > 0);
      sum += abstains ? 0 : (x < 0 ? -1 : 1);
    }
    float result = static_cast<float>(sum);
    if (call.op == SignOp::kAvg) result /= static_cast<float>(call.nranks);
    if (call.op == SignOp::kVote) {
      result = static_cast<float>((sum > 0) - (sum < 0));
      if (sum == 0 && call.tie_rule == signcclTiePositive) result = 1;
      if (sum == 0 && call.tie_rule == signcclTieNegative) result = -1;
      if (sum == 0 && call.tie_rule == signcclTieRandom) {
        result = randomTieIsPositive(call.sequence, i) ? 1 : -1;
      }
    }
    std::memcpy(buffer.data() + i * sizeof(float), &result, sizeof(result));
  }
  return buffer;
}

std::size_t wrongIn(const CheckedCall& call, const std::vector<std::byte>& output) {
  const std::byte* outputs[] = {output.data()};
  return Reference(call).countWrong(outputs, 0, call.count);
}

std::vector<CheckedCall> floatCalls() {
  std::vector<CheckedCall> calls;
  for (const auto op : {SignOp::kVote, SignOp::kAvg, SignOp::kSum}) {
    for (const auto zero : {signcclZeroBinary, signcclZeroTernary}) {
      for (const auto tie : {signcclTieZero, signcclTiePositive, signcclTieNegative, signcclTieRandom}) {
        for (const int nranks : {1, 2, 3, 4, 7}) {
          calls.push_back({op, signcclFloat32, signcclFloat32, zero, tie, nranks, kCount, 11, 7});
        }
      }
    }
  }
  return calls;
}

TEST(ReferenceTest, RightResultsHaveNoWrongElements) {
  for (const CheckedCall& call : floatCalls()) {
    EXPECT_EQ(wrongIn(call, plainResult(call)), 0U)
        << opName(call.op) << " " << call.nranks << " " << zeroRuleName(call.zero_rule) << " "
        << tieRuleName(call.tie_rule);
  }
}

TEST(ReferenceTest, OneDamagedElementIsOneWrongElement) {
  for (const CheckedCall& call : floatCalls()) {
    auto output = plainResult(call);
    output[4999 * sizeof(float)] ^= std::byte{1};
    EXPECT_EQ(wrongIn(call, output), 1U);
  }
}

TEST(ReferenceTest, AWrongSequenceNumberShowsInRandomTies) {
  CheckedCall call{
      SignOp::kVote, signcclFloat32, signcclFloat32, signcclZeroBinary, signcclTieRandom, 2, kCount, 11, 7};
  const auto output = plainResult(call);
  call.sequence = 12;
  EXPECT_GT(wrongIn(call, output), 1000U) << "half of the ties, which are about half of the elements";
}

TEST(ReferenceTest, MinusZeroIsNotZero) {
  const CheckedCall call{
      SignOp::kAvg, signcclFloat32, signcclFloat32, signcclZeroBinary, signcclTieRandom, 2, kCount, 0, 7};
  auto output = plainResult(call);
  std::size_t zeros = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (element<float>(output, i) != 0) continue;
    output[4 * i + 3] ^= std::byte{0x80};
    ++zeros;
  }
  ASSERT_GT(zeros, 0U);
  EXPECT_EQ(wrongIn(call, output), zeros);
}

TEST(ReferenceTest, ElementsAreCheckedOnceInSharesOfARange) {
  const CheckedCall call{
      SignOp::kVote, signcclFloat32, signcclFloat32, signcclZeroBinary, signcclTieZero, 3, kCount, 0, 7};
  const std::vector<std::byte> garbage(kCount * sizeof(float), std::byte{0x5a});
  const std::byte* outputs[] = {garbage.data(), garbage.data()};
  const Reference reference(call);
  EXPECT_EQ(reference.countWrong(outputs, 0, 1280) + reference.countWrong(outputs, 1280, kCount), 2 * kCount);
}

TEST(ReferenceTest, OneRankOfBitsGivesItsOwnBitsBackWithoutPadding) {
  const std::size_t count = 100;
  const CheckedCall call{SignOp::kVote, signcclBits, signcclBits, signcclZeroBinary, signcclTieRandom, 1, count, 0, 7};
  auto output = inputOf(signcclBits, 0, count);
  EXPECT_EQ(wrongIn(call, output), 28U) << "the padding of inputs is ones and has to be cleared";
  auto last = element<std::uint64_t>(output, 1);
  last &= (std::uint64_t{1} << 36) - 1;
  std::memcpy(output.data() + 8, &last, sizeof(last));
  EXPECT_EQ(wrongIn(call, output), 0U);
}

TEST(ReferenceTest, SumsAreIntegersOfTheirWidth) {
  const CheckedCall call{
      SignOp::kAvg, signcclInt8, signcclInt16, signcclZeroTernary, signcclTieRandom, 1, kCount, 0, 7};
  const auto input = inputOf(signcclInt8, 0);
  std::vector<std::byte> output(kCount * sizeof(std::int16_t));
  for (std::size_t i = 0; i < kCount; ++i) {
    const auto x = element<std::int8_t>(input, i);
    const auto sign = static_cast<std::int16_t>((x > 0) - (x < 0));
    std::memcpy(output.data() + i * sizeof(sign), &sign, sizeof(sign));
  }
  EXPECT_EQ(wrongIn(call, output), 0U);
}

}  // namespace
}  // namespace signccl::perf
