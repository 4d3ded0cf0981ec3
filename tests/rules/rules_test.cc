// SPDX-License-Identifier: Apache-2.0
#include "rules/rules.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <tuple>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
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

RuleSet withRule(const std::string& rule) {
  return RuleSet::parse(R"({"version": 1, "rules": [)" + rule + "]}", "test");
}

/// A rule set with one rule, which has this match and takes sums of signs.
RuleSet withMatch(const std::string& match) { return withRule(R"({"match": )" + match + R"(, "action": "sign_sum"})"); }

std::uint64_t digestOfRule(const std::string& rule) { return withRule(rule).digest(Mode::kOn); }

TEST(RulesTest, TheFirstRuleThatMatchesIsTaken) {
  const RuleSet rules = RuleSet::parse(kExample, "example");
  EXPECT_EQ(rules.match(callOf(ElementType::kInt8, 65535)), 0U);
  EXPECT_EQ(rules.match(callOf(ElementType::kInt8, 65536)), 1U);
  EXPECT_EQ(rules.match(callOf(ElementType::kFloat64, 65536)), std::nullopt);
  Call marked = callOf(ElementType::kFloat64, 65536);
  marked.marked = true;
  EXPECT_EQ(rules.match(marked), 2U);
  marked.type = ElementType::kInt8;
  EXPECT_EQ(rules.match(marked), 1U);
}

TEST(RulesTest, WithoutRulesNothingMatches) {
  EXPECT_EQ(RuleSet().match(callOf(ElementType::kInt8, 1 << 20)), std::nullopt);
  EXPECT_EQ(RuleSet().smallestCount(), UINT64_MAX);
}

TEST(RulesTest, CallsThatRulesCannotNameMatchNothing) {
  const RuleSet rules = withMatch("{}");
  Call call = callOf(ElementType::kInt8, 65536);
  EXPECT_EQ(rules.match(call), 0U);
  call.op.reset();
  EXPECT_EQ(rules.match(call), std::nullopt);
  call = callOf(ElementType::kInt8, 65536);
  call.type.reset();
  EXPECT_EQ(rules.match(call), std::nullopt);
}

TEST(RulesTest, RangesIncludeBothEnds) {
  const RuleSet rules = withMatch(R"({"count": {"min": 10, "max": 12}, "ranks": {"min": 2, "max": 3}})");
  Call call = callOf(ElementType::kInt8, 10);
  for (const auto& [ranks, count, is_match] : std::initializer_list<std::tuple<int, int, bool>>{
           {2, 9, false}, {2, 10, true}, {3, 12, true}, {3, 13, false}, {1, 11, false}, {4, 11, false}}) {
    call.ranks = ranks;
    call.count = static_cast<std::uint64_t>(count);
    EXPECT_EQ(rules.match(call).has_value(), is_match) << ranks << " ranks, " << count << " elements";
  }
}

TEST(RulesTest, RulesThatTakeCallsHaveADefaultMinimum) {
  EXPECT_EQ(withMatch("{}").match(callOf(ElementType::kInt8, 65535)), std::nullopt);
  EXPECT_EQ(withMatch("{}").match(callOf(ElementType::kInt8, 65536)), 0U);
  EXPECT_EQ(withMatch(R"({"count": {"max": 70000}})").match(callOf(ElementType::kInt8, 65535)), std::nullopt);
  EXPECT_EQ(withMatch(R"({"count": {"min": 1}})").match(callOf(ElementType::kInt8, 1)), 0U);
}

TEST(RulesTest, MarkedCallsAndForwardRulesHaveNoDefaultMinimum) {
  Call call = callOf(ElementType::kInt8, 1);
  EXPECT_EQ(withRule(R"({"match": {}, "action": "forward"})").match(call), 0U);
  call.marked = true;
  EXPECT_EQ(withMatch(R"({"marked": true})").match(call), 0U);
  EXPECT_EQ(withMatch(R"({"marked": false})").match(call), std::nullopt);
}

TEST(RulesTest, NoRuleThatTakesCallsMatchesBelowTheSmallestCount) {
  EXPECT_EQ(RuleSet::parse(kExample, "example").smallestCount(), 1U);
  EXPECT_EQ(withMatch("{}").smallestCount(), kDefaultMinCount);
  EXPECT_EQ(withRule(R"({"match": {}, "action": "forward"})").smallestCount(), UINT64_MAX);
}

TEST(RulesTest, GlobsMatchWholeNames) {
  for (const auto& [pattern, name, is_match] :
       std::initializer_list<std::tuple<const char*, const char*, bool>>{{"dp", "dp", true},
                                                                         {"dp", "dp1", false},
                                                                         {"dp", "", false},
                                                                         {"dp*", "dp1", true},
                                                                         {"*", "", true},
                                                                         {"*", "anything", true},
                                                                         {"*dp", "my_dp", true},
                                                                         {"*dp", "dp_", false},
                                                                         {"a*b*c", "axxbyyc", true},
                                                                         {"a*b*c", "axxcyyb", false},
                                                                         {"a*b*c", "abcbc", true},
                                                                         {"?", "", false},
                                                                         {"?p", "dp", true},
                                                                         {"d?", "d", false},
                                                                         {"**", "x", true},
                                                                         {"a.c", "abc", false},
                                                                         {"[ab]", "a", false},
                                                                         {"[ab]", "[ab]", true}}) {
    EXPECT_EQ(globMatches(pattern, name), is_match) << pattern << " on '" << name << "'";
  }
}

TEST(RulesTest, AGlobWithManyStarsEnds) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "a*";
  EXPECT_FALSE(globMatches(pattern + "b", std::string(2000, 'a')));
}

TEST(RulesTest, TheCommunicatorsNameIsComparedWithTheGlob) {
  const RuleSet rules = withMatch(R"({"comm": "dp_*"})");
  Call call = callOf(ElementType::kFloat32, 65536);
  EXPECT_EQ(rules.match(call), std::nullopt);
  call.comm_name = "dp_3";
  EXPECT_EQ(rules.match(call), 0U);
}

TEST(RulesTest, TheDigestDoesNotDependOnHowTheFileIsWritten) {
  const std::uint64_t digest =
      digestOfRule(R"({"name": "a", "match": {"type": ["int8", "float32"], "op": "sum"}, "action": "sign_sum"})");
  EXPECT_EQ(digest, digestOfRule(R"(
    // the same
    {"action": "sign_sum", "name": "b", "options": {"trust": false, "lossy": false},
     "match": {"op": ["sum"], "count": {"min": 65536}, "type": ["float32", "int8"]}})"));
}

TEST(RulesTest, TheDigestDependsOnAllThatDecides) {
  const std::vector<std::string> rules = {
      R"({"match": {}, "action": "sign_sum"})",
      R"({"match": {"type": "int8"}, "action": "sign_sum"})",
      R"({"match": {"op": "sum"}, "action": "sign_sum"})",
      R"({"match": {"count": {"min": 65537}}, "action": "sign_sum"})",
      R"({"match": {"count": {"max": 65537}}, "action": "sign_sum"})",
      R"({"match": {"ranks": {"min": 2}}, "action": "sign_sum"})",
      R"({"match": {"ranks": {"max": 2}}, "action": "sign_sum"})",
      R"({"match": {"comm": "a"}, "action": "sign_sum"})",
      R"({"match": {"comm": "b"}, "action": "sign_sum"})",
      R"({"match": {"marked": false}, "action": "sign_sum"})",
      R"({"match": {"marked": true}, "action": "sign_sum"})",
      R"({"match": {}, "action": "sign_sum", "options": {"trust": true}})",
      R"({"match": {}, "action": "sign_sum", "options": {"zero": "binary"}})",
      R"({"match": {}, "action": "sign_sum", "options": {"zero": "ternary"}})",
      R"({"match": {}, "action": "forward"})",
      R"({"match": {}, "action": "avg", "options": {"lossy": true}})",
      R"({"match": {}, "action": "vote", "options": {"lossy": true}})",
      R"({"match": {}, "action": "vote", "options": {"lossy": true, "tie": "zero"}})"};
  std::set<std::uint64_t> digests{RuleSet().digest(Mode::kOn)};
  for (const std::string& rule : rules) EXPECT_TRUE(digests.insert(digestOfRule(rule)).second) << rule;
  EXPECT_TRUE(digests.insert(digestOfRule(rules[1] + "," + rules[2])).second);
  EXPECT_TRUE(digests.insert(digestOfRule(rules[2] + "," + rules[1])).second) << "the order decides";
}

TEST(RulesTest, TheDigestDependsOnTheMode) {
  const RuleSet rules = withMatch("{}");
  EXPECT_NE(rules.digest(Mode::kOn), rules.digest(Mode::kDry));
  EXPECT_NE(rules.digest(Mode::kOn), rules.digest(Mode::kOff));
  EXPECT_NE(rules.digest(Mode::kDry), rules.digest(Mode::kOff));
}

TEST(RulesTest, TheDigestIsTheSameInEveryBuild) {
  EXPECT_EQ(RuleSet::parse(kExample, "example").digest(Mode::kOn), 14533163734110715119U);
}

TEST(RulesTest, AnEmptyValueMeansNoRules) {
  EXPECT_TRUE(RuleSet::load("").rules().empty());
  EXPECT_TRUE(RuleSet::load("  ").rules().empty());
}

TEST(RulesTest, AValueThatBeginsWithABraceIsTheText) {
  EXPECT_EQ(RuleSet::load("  " + std::string(kExample)).rules().size(), 3U);
}

TEST(RulesTest, AnyOtherValueIsAPath) {
  const std::string path = testing::TempDir() + "rules_test_" + std::to_string(getpid()) + ".json";
  std::ofstream(path) << kExample;
  EXPECT_EQ(RuleSet::load(path).rules().size(), 3U);
  std::ofstream(path) << "{\"version\": 3}";
  try {
    RuleSet::load(path);
    ADD_FAILURE();
  } catch (const RulesError& error) {
    EXPECT_EQ(error.what(), path + ": /version: 3; expected 1, the one that this version of SignCCL reads");
  }
  std::filesystem::remove(path);
}

std::string whyNotLoaded(const std::string& value) {
  try {
    RuleSet::load(value);
  } catch (const RulesError& error) {
    return error.what();
  }
  return "";
}

TEST(RulesTest, AFileThatCannotBeReadIsAnError) {
  EXPECT_EQ(whyNotLoaded("/nowhere/rules.json"),
            "SIGNCCL_RULES=/nowhere/rules.json: cannot read the rules file: No such file or directory");
  EXPECT_EQ(whyNotLoaded("/"), "SIGNCCL_RULES=/: cannot read the rules file: Is a directory");
  EXPECT_EQ(whyNotLoaded("/dev/zero"), "SIGNCCL_RULES=/dev/zero: the file is larger than 1 MiB; expected a rules file");
  EXPECT_EQ(whyNotLoaded("/dev/null"), "SIGNCCL_RULES=/dev/null: the rules file is empty");
}

TEST(RulesTest, AnErrorNamesTheOptionThatTheRulesComeFrom) {
  const auto why = [](const std::string& value) -> std::string {
    try {
      RuleSet::load(value, "--rules");
    } catch (const RulesError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(why("/nowhere/rules.json"),
            "--rules /nowhere/rules.json: cannot read the rules file: No such file or directory");
  EXPECT_EQ(why(R"({"version": 3})"), "--rules: /version: 3; expected 1, the one that this version of SignCCL reads");
}

TEST(RulesTest, ADescriptionSaysWhatIsLimited) {
  const RuleSet rules = RuleSet::parse(kExample, "example");
  EXPECT_EQ(describe(rules.rules()[0]),
            "'small things stay': type any, op any, count 1 to 65535, ranks any -> forward");
  EXPECT_EQ(describe(rules.rules()[1]),
            "'sign tensors': type int8|bfloat16|float32, op sum, count 65536 or more, ranks 1 to 127 -> sign_sum");
  EXPECT_EQ(describe(rules.rules()[2]),
            "'vote where asked': type any, op any, count any, ranks any, marked -> vote, tie negative");
  EXPECT_EQ(describe(withRule(R"({"match": {"comm": "dp*", "marked": false}, "action": "sign_sum",
                                  "options": {"trust": true, "zero": "ternary"}})")
                         .rules()[0]),
            "'rule 0': type any, op any, count 65536 or more, ranks any, comm 'dp*', not marked -> sign_sum, zero "
            "ternary, trust");
}

}  // namespace
}  // namespace signccl::rules
