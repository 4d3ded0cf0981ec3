// SPDX-License-Identifier: Apache-2.0
#include "rules/carry.h"

#include <string>

#include <gtest/gtest.h>

namespace signccl::rules {
namespace {

Rule ruleWith(Action action) {
  Rule rule;
  rule.action = action;
  return rule;
}

std::string whyNot(Action action, ElementType type, ReduceOp op, int ranks) {
  Call call;
  call.type = type;
  call.op = op;
  call.ranks = ranks;
  return whyNotCarried(ruleWith(action), call);
}

TEST(CarryTest, ASumIsCarriedUpToTheRanksThatTheTypeHoldsExactly) {
  const auto why = [](ElementType type, int ranks) { return whyNot(Action::kSignSum, type, ReduceOp::kSum, ranks); };
  EXPECT_EQ(why(ElementType::kInt8, 127), "");
  EXPECT_EQ(why(ElementType::kInt8, 128), "the sum of signs in int8 is exact up to 127 ranks, and there are 128");
  EXPECT_EQ(why(ElementType::kBfloat16, 256), "");
  EXPECT_NE(why(ElementType::kBfloat16, 257), "");
  EXPECT_EQ(why(ElementType::kFloat16, 2048), "");
  EXPECT_NE(why(ElementType::kFloat16, 2049), "");
  EXPECT_EQ(why(ElementType::kFloat32, 32767), "");
  EXPECT_EQ(why(ElementType::kFloat64, 32767), "");
}

TEST(CarryTest, AMeanIsExactForAPowerOfTwoOfRanks) {
  EXPECT_EQ(whyNot(Action::kSignSum, ElementType::kFloat32, ReduceOp::kAvg, 8), "");
  EXPECT_EQ(whyNot(Action::kSignSum, ElementType::kFloat32, ReduceOp::kAvg, 6),
            "NCCL's mean is exact where the number of ranks is a power of two, and there are 6");
  EXPECT_EQ(whyNot(Action::kSignSum, ElementType::kInt8, ReduceOp::kAvg, 8),
            "the mean of int8 is rounded by NCCL's own rule");
}

TEST(CarryTest, LossyActionsCarryWhatTheTypeCanHold) {
  EXPECT_EQ(whyNot(Action::kVote, ElementType::kInt8, ReduceOp::kSum, 1000), "");
  EXPECT_EQ(whyNot(Action::kAvg, ElementType::kBfloat16, ReduceOp::kSum, 1000), "");
  EXPECT_EQ(whyNot(Action::kAvg, ElementType::kInt8, ReduceOp::kSum, 4), "int8 cannot hold the mean of signs");
}

TEST(CarryTest, ACallThatRulesCannotNameIsNotCarried) {
  EXPECT_EQ(whyNotCarried(ruleWith(Action::kVote), Call{}), "the call has a type or an op that rules cannot name");
}

TEST(CarryTest, ARuleIsRefusedOnlyWhereNoTypeOpAndRanksFit) {
  Rule rule = ruleWith(Action::kSignSum);
  EXPECT_EQ(whyNeverCarried(rule).expected, "");
  rule.match.types = {ElementType::kInt8, ElementType::kBfloat16};
  rule.match.ranks = {200, 1000};
  EXPECT_EQ(whyNeverCarried(rule).expected, "") << "bfloat16 carries 200 ranks";
  rule.match.ranks = {257, 1000};
  EXPECT_EQ(whyNeverCarried(rule).place, "/match/ranks/min");
  rule.match.types = {ElementType::kFloat32};
  rule.match.ops = {ReduceOp::kAvg};
  rule.match.ranks = {3, 5};
  EXPECT_EQ(whyNeverCarried(rule).expected, "") << "the mean of 4 ranks is carried";
  rule.match.ranks = {5, 7};
  EXPECT_EQ(whyNeverCarried(rule).place, "/match/op");
}

}  // namespace
}  // namespace signccl::rules
