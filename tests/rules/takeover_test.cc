// SPDX-License-Identifier: Apache-2.0
#include "rules/takeover.h"

#include <gtest/gtest.h>

namespace signccl::rules {
namespace {

constexpr std::uint64_t kCount = 100000;

Rule signSum() {
  Rule rule;
  rule.action = Action::kSignSum;
  return rule;
}

/// Whether the rule tries a call. `values` are those of all tries.
bool tries(Takeover& takeover, const Rule& rule, Values values, std::uint64_t count = kCount, std::size_t index = 0) {
  const auto zero = takeover.next(index, rule, count);
  if (!zero) return false;
  if (takeover.agreed(index, rule, count, *zero, values) == Verdict::kAgain) {
    takeover.agreed(index, rule, count, ZeroRule::kTernary, values);
  }
  return true;
}

void putOnProbation(Takeover& takeover, const Rule& rule) {
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(tries(takeover, rule, Values::kOther)) << "call " << i;
}

TEST(TakeoverTest, AfterEightFallbacksInARowOneCallOfAHundredIsTried) {
  Takeover takeover;
  const Rule rule = signSum();
  putOnProbation(takeover, rule);
  for (int probe = 0; probe < 3; ++probe) {
    for (int i = 0; i < 99; ++i) ASSERT_FALSE(tries(takeover, rule, Values::kOther)) << "call " << i;
    ASSERT_TRUE(tries(takeover, rule, Values::kOther)) << "probe " << probe;
  }
}

TEST(TakeoverTest, AProbeThatIsTakenEndsTheProbation) {
  Takeover takeover;
  const Rule rule = signSum();
  putOnProbation(takeover, rule);
  for (int i = 0; i < 99; ++i) ASSERT_FALSE(tries(takeover, rule, Values::kSigns));
  EXPECT_TRUE(tries(takeover, rule, Values::kSigns));
  EXPECT_TRUE(tries(takeover, rule, Values::kSigns));
  putOnProbation(takeover, rule);
  EXPECT_FALSE(tries(takeover, rule, Values::kOther));
}

TEST(TakeoverTest, ACallThatIsTakenEndsARowOfFallbacks) {
  Takeover takeover;
  const Rule rule = signSum();
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 7; ++i) ASSERT_TRUE(tries(takeover, rule, Values::kOther));
    ASSERT_TRUE(tries(takeover, rule, Values::kZeros));
  }
}

TEST(TakeoverTest, OtherSizesAndOtherRulesAreNotOnProbation) {
  Takeover takeover;
  const Rule rule = signSum();
  putOnProbation(takeover, rule);
  EXPECT_FALSE(tries(takeover, rule, Values::kOther));
  EXPECT_TRUE(tries(takeover, rule, Values::kOther, kCount + 1));
  EXPECT_TRUE(tries(takeover, rule, Values::kOther, kCount, 1));
}

TEST(TakeoverTest, ZerosMakeACallBeTriedAgainWithTernary) {
  Takeover takeover;
  const Rule rule = signSum();
  EXPECT_EQ(takeover.next(0, rule, kCount), ZeroRule::kBinary);
  EXPECT_EQ(takeover.agreed(0, rule, kCount, ZeroRule::kBinary, Values::kZeros), Verdict::kAgain);
  EXPECT_EQ(takeover.agreed(0, rule, kCount, ZeroRule::kTernary, Values::kZeros), Verdict::kTaken);
  EXPECT_EQ(takeover.next(0, rule, kCount), ZeroRule::kTernary) << "the next one has zeros too, probably";
}

TEST(TakeoverTest, EightCallsWithoutZerosInARowGoBackToBinary) {
  Takeover takeover;
  const Rule rule = signSum();
  tries(takeover, rule, Values::kZeros);
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(tries(takeover, rule, Values::kSigns));
  tries(takeover, rule, Values::kZeros);
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(takeover.next(0, rule, kCount), ZeroRule::kTernary) << "call " << i;
    takeover.agreed(0, rule, kCount, ZeroRule::kTernary, Values::kSigns);
  }
  EXPECT_EQ(takeover.next(0, rule, kCount), ZeroRule::kBinary);
}

TEST(TakeoverTest, AZeroRuleThatIsGivenStays) {
  Takeover takeover;
  Rule rule = signSum();
  rule.options.zero = ZeroRule::kBinary;
  EXPECT_EQ(takeover.next(0, rule, kCount), ZeroRule::kBinary);
  EXPECT_EQ(takeover.agreed(0, rule, kCount, ZeroRule::kBinary, Values::kZeros), Verdict::kFallBack);
  rule.options.zero = ZeroRule::kTernary;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(takeover.next(1, rule, kCount), ZeroRule::kTernary);
    ASSERT_EQ(takeover.agreed(1, rule, kCount, ZeroRule::kTernary, Values::kSigns), Verdict::kTaken);
  }
}

TEST(TakeoverTest, ARuleThatTrustsIsNeverOnProbation) {
  Takeover takeover;
  Rule rule = signSum();
  rule.options.trust = true;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(takeover.next(0, rule, kCount), ZeroRule::kBinary);
    ASSERT_EQ(takeover.agreed(0, rule, kCount, ZeroRule::kBinary, Values::kZeros), Verdict::kFallBack);
  }
}

TEST(TakeoverTest, SizesThatNeverRepeatAreForgotten) {
  Takeover takeover;
  const Rule rule = signSum();
  putOnProbation(takeover, rule);
  for (std::uint64_t count = 1; count < 4096; ++count) tries(takeover, rule, Values::kOther, count);
  EXPECT_FALSE(tries(takeover, rule, Values::kOther));
  tries(takeover, rule, Values::kOther, 4096);
  EXPECT_TRUE(tries(takeover, rule, Values::kOther));
}

}  // namespace
}  // namespace signccl::rules
