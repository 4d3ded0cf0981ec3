// SPDX-License-Identifier: Apache-2.0
#include "base/types.h"

#include <utility>

#include <gtest/gtest.h>

namespace signccl {
namespace {

TEST(TypesTest, NamesAreThoseOfThePublicHeader) {
  const std::pair<TieRule, const char*> rules[] = {{TieRule::kZero, "zero"},
                                                   {TieRule::kPositive, "positive"},
                                                   {TieRule::kNegative, "negative"},
                                                   {TieRule::kRandom, "random"}};
  for (const auto& [rule, name] : rules) EXPECT_STREQ(tieRuleName(rule), name);
  EXPECT_STREQ(opName(SignOp::kVote), "AllReduceVote");
  EXPECT_STREQ(opName(SignOp::kAvg), "AllReduceAvg");
  EXPECT_STREQ(opName(SignOp::kSum), "AllReduceSum");
  EXPECT_STREQ(shortOpName(SignOp::kVote), "vote");
  EXPECT_STREQ(shortOpName(SignOp::kAvg), "avg");
  EXPECT_STREQ(shortOpName(SignOp::kSum), "sum");
}

}  // namespace
}  // namespace signccl
