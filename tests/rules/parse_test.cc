// SPDX-License-Identifier: Apache-2.0
// What is wrong with a rules file is said with its place, its value and what was expected.
#include "rules/parse.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules/errors.h"

namespace signccl::rules {
namespace {

using testing::ElementsAre;

std::vector<std::string> problemsOf(const std::string& text) {
  try {
    parseRules(text, "rules.json");
  } catch (const RulesError& error) {
    return error.problems();
  }
  return {};
}

/// Of a file with this one rule.
std::vector<std::string> problemsOfRule(const std::string& rule) {
  return problemsOf(R"({"version": 1, "rules": [)" + rule + "]}");
}

/// Of a rule with this match and the action sign_sum.
std::vector<std::string> problemsOfMatch(const std::string& match) {
  return problemsOfRule(R"({"match": )" + match + R"(, "action": "sign_sum"})");
}

std::vector<std::string> problemsOfOptions(const std::string& action, const std::string& options) {
  return problemsOfRule(R"({"match": {}, "action": ")" + action + R"(", "options": )" + options + "}");
}

TEST(ParseTest, ASyntaxErrorHasItsByteLineAndColumn) {
  EXPECT_THAT(
      problemsOf("{\"version\": 1,\n \"rules\": [}"),
      ElementsAre("byte 27: syntax error while parsing value - unexpected '}'; expected '[', '{', or a literal; at "
                  "line 2, column 12"));
}

TEST(ParseTest, ATextThatEndsTooEarlyIsASyntaxErrorAtItsEnd) {
  const auto problems = problemsOf("{\"version\": 1,\n");
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_THAT(problems[0], testing::StartsWith("byte 16: syntax error"));
  EXPECT_THAT(problems[0], testing::HasSubstr("line 2, column 1"));
}

TEST(ParseTest, BytesThatAreNoTextAreShownAsQuestionMarks) {
  const auto problems = problemsOf("{\"version\": 1, \"rules\xff\": 2}");
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_THAT(problems[0], testing::StartsWith("byte "));
  EXPECT_EQ(problems[0].find('\xff'), std::string::npos);
}

TEST(ParseTest, CommentsAreAllowed) {
  EXPECT_THAT(problemsOf("// one\n{\"version\": 1, /* two */ \"rules\": [{\"match\": {}, \"action\": \"forward\"}]}"),
              ElementsAre());
}

TEST(ParseTest, AKeyThatIsThereTwiceIsRefused) {
  EXPECT_THAT(problemsOfRule(R"({"match": {"op": "sum", "op": "avg"}, "action": "forward"})"),
              ElementsAre("/rules/0/match/op: the key is there twice; expected each key once"));
  EXPECT_THAT(problemsOfRule(R"({"match": {}, "action": "forward"}, {"match": {}, "action": "forward", "match": {}})"),
              ElementsAre("/rules/1/match: the key is there twice; expected each key once"));
}

TEST(ParseTest, UnknownKeysAreNamedWithThoseThatAreKnown) {
  EXPECT_THAT(problemsOf(R"({"version": 1, "rule": [], "rules": [{"match": {}, "action": "forward"}]})"),
              ElementsAre("/rule: []; expected no such key; known keys are rules, version"));
  EXPECT_THAT(problemsOfRule(R"({"match": {}, "action": "forward", "a/b~": 1})"),
              ElementsAre("/rules/0/a~1b~0: 1; expected no such key; known keys are action, match, name, options"));
  EXPECT_THAT(
      problemsOfMatch(R"({"typ": "int8"})"),
      ElementsAre(
          "/rules/0/match/typ: \"int8\"; expected no such key; known keys are comm, count, marked, op, ranks, type"));
  EXPECT_THAT(problemsOfMatch(R"({"count": {"least": 3, "max": 100000}})"),
              ElementsAre("/rules/0/match/count/least: 3; expected no such key; known keys are min, max"));
  EXPECT_THAT(problemsOfOptions("sign_sum", R"({"ties": 1})"),
              ElementsAre("/rules/0/options/ties: 1; expected no such key; known keys are lossy, tie, trust, zero"));
}

TEST(ParseTest, TheVersionMustBeOne) {
  EXPECT_THAT(problemsOf(R"({"rules": [{"match": {}, "action": "forward"}]})"),
              ElementsAre("/version: is missing; expected 1"));
  EXPECT_THAT(problemsOf(R"({"version": 2, "rules": 5})"),
              ElementsAre("/version: 2; expected 1, the one that this version of SignCCL reads"));
  EXPECT_THAT(problemsOf(R"({"version": "1", "rules": 5})"),
              ElementsAre("/version: \"1\"; expected 1, the one that this version of SignCCL reads"));
}

TEST(ParseTest, RulesMustBeAListOfObjects) {
  EXPECT_THAT(problemsOf(R"({"version": 1})"), ElementsAre("/rules: is missing; expected a list of rules"));
  EXPECT_THAT(problemsOf(R"({"version": 1, "rules": {}})"),
              ElementsAre("/rules: {}; expected a list of rules that is not empty"));
  EXPECT_THAT(problemsOf(R"({"version": 1, "rules": []})"),
              ElementsAre("/rules: []; expected a list of rules that is not empty"));
  EXPECT_THAT(problemsOfRule("7"),
              ElementsAre("/rules/0: 7; expected an object with keys among action, match, name, options"));
  EXPECT_THAT(problemsOf("[1]"), ElementsAre("the text: [1]; expected an object with keys among rules, version"));
}

TEST(ParseTest, ARuleNeedsAMatchAndAnAction) {
  EXPECT_THAT(problemsOfRule("{}"),
              ElementsAre("/rules/0/action: is missing; expected one of forward, sign_sum, vote, avg",
                          "/rules/0/match: is missing; expected an object; {} matches every call of a type and op that "
                          "rules know"));
  EXPECT_THAT(problemsOfRule(R"({"match": {}, "action": "signsum"})"),
              ElementsAre("/rules/0/action: \"signsum\"; expected one of forward, sign_sum, vote, avg"));
  EXPECT_THAT(
      problemsOfMatch("[]"),
      ElementsAre("/rules/0/match: []; expected an object with keys among comm, count, marked, op, ranks, type"));
}

TEST(ParseTest, TypesAndOpsAreOneNameOrAList) {
  EXPECT_THAT(
      problemsOfMatch(R"({"type": ["int8", "fp16"]})"),
      ElementsAre("/rules/0/match/type/1: \"fp16\"; expected one of int8, float16, bfloat16, float32, float64"));
  EXPECT_THAT(problemsOfMatch(R"({"type": []})"),
              ElementsAre("/rules/0/match/type: []; expected a name, or a list of names that is not empty"));
  EXPECT_THAT(problemsOfMatch(R"({"type": ["int8", "int8"]})"),
              ElementsAre("/rules/0/match/type/1: \"int8\"; expected each name once"));
  EXPECT_THAT(problemsOfMatch(R"({"type": 8})"),
              ElementsAre("/rules/0/match/type: 8; expected one of int8, float16, bfloat16, float32, float64"));
  EXPECT_THAT(problemsOfMatch(R"({"op": "max"})"), ElementsAre("/rules/0/match/op: \"max\"; expected one of sum, avg"));
  EXPECT_THAT(problemsOfMatch(R"({"op": ["sum", {"a": 1}]})"),
              ElementsAre("/rules/0/match/op/1: {\"a\":1}; expected one of sum, avg"));
}

TEST(ParseTest, RangesHaveWholeNumbersInOrder) {
  const std::string count = "a whole number from 1 to 9223372036854775807";
  EXPECT_THAT(problemsOfMatch(R"({"count": {"min": -4}})"),
              ElementsAre("/rules/0/match/count/min: -4; expected " + count));
  EXPECT_THAT(problemsOfMatch(R"({"count": {"min": 1e6}})"),
              ElementsAre("/rules/0/match/count/min: 1000000.0; expected " + count));
  EXPECT_THAT(problemsOfMatch(R"({"count": {"min": "1"}})"),
              ElementsAre("/rules/0/match/count/min: \"1\"; expected " + count));
  EXPECT_THAT(problemsOfMatch(R"({"count": {"min": 0, "max": 99999999999999999999}})"),
              ElementsAre("/rules/0/match/count/min: 0; expected " + count,
                          "/rules/0/match/count/max: 1e+20; expected " + count));
  EXPECT_THAT(problemsOfMatch(R"({"ranks": {"max": 40000}})"),
              ElementsAre("/rules/0/match/ranks/max: 40000; expected a whole number from 1 to 32767"));
  EXPECT_THAT(problemsOfMatch(R"({"ranks": {"min": 9, "max": 8}})"),
              ElementsAre("/rules/0/match/ranks/max: 8; expected min, which is 9, or more"));
  EXPECT_THAT(problemsOfMatch(R"({"count": {}})"), ElementsAre("/rules/0/match/count: {}; expected min, max or both"));
  EXPECT_THAT(problemsOfMatch(R"({"count": 70000})"),
              ElementsAre("/rules/0/match/count: 70000; expected an object with keys among min, max"));
}

TEST(ParseTest, AMaximumBelowTheDefaultMinimumNeedsAMinimumOfItsOwn) {
  EXPECT_THAT(
      problemsOfMatch(R"({"count": {"max": 1000}})"),
      ElementsAre("/rules/0/match/count: {\"max\":1000}; expected a min as well: without one it is 65536, which is "
                  "more than max"));
  EXPECT_THAT(problemsOfMatch(R"({"count": {"max": 1000, "min": 1}})"), ElementsAre());
  EXPECT_THAT(problemsOfRule(R"({"match": {"count": {"max": 1000}}, "action": "forward"})"), ElementsAre());
}

TEST(ParseTest, TextsAndBooleansHaveTheirTypes) {
  const std::string text = "a text of 1 to 100 bytes without control characters";
  EXPECT_THAT(problemsOfMatch(R"({"comm": ""})"), ElementsAre("/rules/0/match/comm: \"\"; expected " + text));
  EXPECT_THAT(problemsOfMatch(R"({"comm": ["a"]})"), ElementsAre("/rules/0/match/comm: [\"a\"]; expected " + text));
  EXPECT_THAT(problemsOfMatch(R"({"marked": 1})"), ElementsAre("/rules/0/match/marked: 1; expected true or false"));
  EXPECT_THAT(problemsOfRule(R"({"name": "a\nb", "match": {}, "action": "forward"})"),
              ElementsAre("/rules/0/name: \"a\\nb\"; expected " + text));
  EXPECT_THAT(problemsOfRule(R"({"name": ")" + std::string(101, 'a') + R"(", "match": {}, "action": "forward"})"),
              ElementsAre("/rules/0/name: \"" + std::string(59, 'a') + "...; expected " + text));
}

TEST(ParseTest, TwoRulesHaveTwoNames) {
  EXPECT_THAT(problemsOfRule(R"({"name": "a", "match": {}, "action": "forward"}, {"match": {}, "action": "forward"},
                                {"name": "a", "match": {}, "action": "forward"})"),
              ElementsAre("/rules/2/name: \"a\"; expected a name of its own; /rules/0 has it"));
}

TEST(ParseTest, LossyActionsMustBeAskedFor) {
  EXPECT_THAT(
      problemsOfRule(R"({"match": {}, "action": "vote"})"),
      ElementsAre("/rules/0/options/lossy: is not true; expected true, since vote gives another result than the "
                  "program asked for"));
  EXPECT_THAT(problemsOfOptions("avg", R"({"lossy": false})"),
              ElementsAre("/rules/0/options/lossy: is not true; expected true, since avg gives another result than the "
                          "program asked for"));
  EXPECT_THAT(problemsOfOptions("vote", R"({"lossy": true})"), ElementsAre());
}

TEST(ParseTest, OptionsBelongToTheirActions) {
  EXPECT_THAT(problemsOfOptions("sign_sum", R"({"lossy": true})"),
              ElementsAre("/rules/0/options/lossy: true; expected no such option here: it is one of vote and avg"));
  EXPECT_THAT(problemsOfOptions("avg", R"({"lossy": true, "tie": "zero"})"),
              ElementsAre("/rules/0/options/tie: \"zero\"; expected no such option here: it is one of vote"));
  EXPECT_THAT(problemsOfOptions("vote", R"({"lossy": true, "trust": true})"),
              ElementsAre("/rules/0/options/trust: true; expected no such option here: it is one of sign_sum"));
  EXPECT_THAT(
      problemsOfOptions("forward", R"({"zero": "ternary"})"),
      ElementsAre("/rules/0/options/zero: \"ternary\"; expected no such option here: it is one of sign_sum, vote "
                  "and avg"));
  EXPECT_THAT(problemsOfOptions("sign_sum", R"({"zero": "abstain", "trust": 1})"),
              ElementsAre("/rules/0/options/trust: 1; expected true or false",
                          "/rules/0/options/zero: \"abstain\"; expected one of binary, ternary"));
  EXPECT_THAT(problemsOfOptions("vote", R"({"lossy": true, "tie": "alternate"})"),
              ElementsAre("/rules/0/options/tie: \"alternate\"; expected one of zero, positive, negative, random"));
}

TEST(ParseTest, ARuleThatCanNeverTakeACallIsRefused) {
  EXPECT_THAT(
      problemsOfMatch(R"({"type": "int8", "ranks": {"min": 128}})"),
      ElementsAre("/rules/0/match/ranks/min: no call that matches can be taken; expected 127 or less, up to which "
                  "the sums of signs in the rule's types are exact"));
  EXPECT_THAT(
      problemsOfMatch(R"({"type": "int8", "op": "avg"})"),
      ElementsAre("/rules/0/match/op: no call that matches can be taken; expected sum as well: of the means, those "
                  "in a floating type by a power of two of ranks are exact"));
  EXPECT_THAT(
      problemsOfRule(R"({"match": {"type": "int8"}, "action": "avg", "options": {"lossy": true}})"),
      ElementsAre("/rules/0/match/type: no call that matches can be taken; expected a floating type: int8 cannot "
                  "hold the mean of signs"));
}

TEST(ParseTest, AllProblemsAreReportedAtOnce) {
  try {
    parseRules(R"({"version": 1, "rules": [{"match": {"op": "max", "typ": 1}, "action": "vote"}, 3]})", "my.json");
    FAIL();
  } catch (const RulesError& error) {
    EXPECT_EQ(error.problems().size(), 4U);
    EXPECT_EQ(std::string(error.what()).find("my.json: /rules/0/match/typ: 1"), 0U);
    EXPECT_THAT(error.what(), testing::HasSubstr("\nmy.json: /rules/1: 3; expected an object"));
  }
}

TEST(ParseTest, DeepNestingIsRefusedAndNotFollowed) {
  const std::string deep = std::string(200000, '[') + std::string(200000, ']');
  const auto problems = problemsOf(R"({"version": )" + deep + "}");
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_THAT(problems[0], testing::EndsWith(": nested deeper than 32 levels; expected a rules file, which has 5"));
}

TEST(ParseTest, TooManyRulesAreRefused) {
  std::string rules;
  for (int i = 0; i < 1001; ++i) rules += R"({"match": {}, "action": "forward"},)";
  rules.pop_back();
  EXPECT_THAT(problemsOfRule(rules), ElementsAre("/rules: 1001 rules; expected at most 1000"));
}

}  // namespace
}  // namespace signccl::rules
