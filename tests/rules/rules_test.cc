// SPDX-License-Identifier: Apache-2.0
#include "rules/rules.h"

#include <string>

#include <gtest/gtest.h>

#include "rules/errors.h"

namespace signccl::rules {
namespace {

constexpr const char* kExample = R"({"version": 1, "rules": [
  // what barriers and losses send
  {"name": "small things stay", "match": {"count": {"max": 65535}}, "action": "forward"},
  {"name": "sign tensors", "match": {"type": ["int8", "bfloat16", "float32"], "op": "sum", "ranks": {"max": 127}},
   "action": "sign_sum"},
  {"name": "vote where asked", "match": {"marked": true}, "action": "vote",
   "options": {"lossy": true, "tie": "negative"}}]})";

Call callOf(ElementType type, std::uint64_t count) {
  Call call;
  call.type = type;
  call.op = ReduceOp::kSum;
  call.count = count;
  call.ranks = 4;
  return call;
}

TEST(RulesTest, TheFirstRuleThatMatchesIsTaken) {
  const RuleSet rules = RuleSet::parse(kExample, "example");
  EXPECT_EQ(rules.match(callOf(ElementType::kInt8, 65535)), 0U);
  EXPECT_EQ(rules.match(callOf(ElementType::kInt8, 65536)), 1U);
  EXPECT_EQ(rules.match(callOf(ElementType::kFloat64, 65536)), std::nullopt);
}

}  // namespace
}  // namespace signccl::rules
