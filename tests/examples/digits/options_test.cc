// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace digits {
namespace {

struct Parsed {
  std::optional<Options> options;
  int exit_code = 0;
  std::string complaint;
};

Parsed parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "digits");
  Parsed parsed;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  parsed.options = parseOptions(static_cast<int>(arguments.size()), arguments.data(), parsed.exit_code);
  ::testing::internal::GetCapturedStdout();
  parsed.complaint = ::testing::internal::GetCapturedStderr();
  return parsed;
}

std::vector<std::string> idsOf(const Options& options) {
  std::vector<std::string> ids;
  for (const Method& method : options.methods) ids.push_back(method.id());
  return ids;
}

TEST(OptionsTest, DefaultsCompareEveryTieRuleWithTheBaselines) {
  const auto options = parse({}).options;
  ASSERT_TRUE(options);
  EXPECT_EQ(idsOf(*options), (std::vector<std::string>{"vote-zero", "vote-positive", "vote-negative", "vote-random",
                                                       "avg", "lion", "adamw"}));
}

TEST(OptionsTest, ListsAreTakenInTheirOrder) {
  const auto options = parse({"--workers", "32,4", "--seeds", "7,8,9", "--methods", "adamw,vote", "--tie",
                              "random,zero", "--zero", "ternary,binary", "--shards", "whole"})
                           .options;
  ASSERT_TRUE(options);
  EXPECT_EQ(options->workers, (std::vector<int>{32, 4}));
  EXPECT_EQ(options->seeds, (std::vector<std::uint64_t>{7, 8, 9}));
  EXPECT_EQ(options->shardings, std::vector<Sharding>{Sharding::kWhole});
  EXPECT_EQ(idsOf(*options), (std::vector<std::string>{"adamw", "vote-ternary-random", "vote-ternary-zero",
                                                       "vote-random", "vote-zero"}));
}

TEST(OptionsTest, OverridesReachTheMethodTheyName) {
  const auto options = parse({"--methods", "vote,lion", "--tie", "zero", "--lr-vote", "0.5", "--wd-lion", "0"}).options;
  ASSERT_TRUE(options);
  EXPECT_EQ(options->methods[0].settings.learning_rate, 0.5F);
  EXPECT_EQ(options->methods[0].settings.weight_decay, tunedSettings(MethodKind::kVote).weight_decay);
  EXPECT_EQ(options->methods[1].settings.learning_rate, tunedSettings(MethodKind::kLion).learning_rate);
  EXPECT_EQ(options->methods[1].settings.weight_decay, 0.0F);
}

TEST(OptionsTest, MomentaCanBeAveragedAndDecayFaster) {
  const auto options =
      parse({"--methods", "vote,avg", "--tie", "random", "--sync-momenta", "10", "--beta2", "0.5"}).options;
  ASSERT_TRUE(options);
  EXPECT_EQ(idsOf(*options), (std::vector<std::string>{"vote-random-sync10", "avg-sync10"}));
  EXPECT_EQ(options->methods[0].sync_every, 10);
  EXPECT_EQ(options->methods[0].beta2, 0.5F);
}

TEST(OptionsTest, HelpIsNoError) {
  const Parsed parsed = parse({"--help"});
  EXPECT_FALSE(parsed.options);
  EXPECT_EQ(parsed.exit_code, 0);
}

struct BadCase {
  std::vector<const char*> arguments;
  const char* complaint;
};

TEST(OptionsTest, BadValuesAreNamedWithWhatIsAllowed) {
  const std::vector<BadCase> cases = {
      {{"--workers", "0"}, "--workers: Value 0 not in range 1 to 128"},
      {{"--workers", "4,129"}, "--workers: Value 129 not in range 1 to 128"},
      {{"--workers", "4,x"}, "--workers: Value x not in range 1 to 128"},
      {{"--steps", "0"}, "--steps: Value 0 not in range"},
      {{"--batch", "-3"}, "--batch: Value -3 not in range"},
      {{"--seeds", "one"}, "--seeds"},
      {{"--methods", "vote,sgd"}, "--methods: 'sgd' is not one of vote, avg, lion, adamw"},
      {{"--tie", "sometimes"}, "--tie: 'sometimes' is not one of zero, positive, negative, random"},
      {{"--zero", "1"}, "--zero: '1' is not one of binary, ternary"},
      {{"--shards", "half"}, "--shards: 'half' is not one of own, whole"},
      {{"--held-out", "train"}, "--held-out: 'train' is not one of test, validation"},
      {{"--lr-vote", "0"}, "--lr-vote: '0' is not a number above 0"},
      {{"--lr-adamw", "nan"}, "--lr-adamw: 'nan' is not a number above 0"},
      {{"--wd-avg", "-1"}, "--wd-avg: '-1' is not a number of 0 or more"},
      {{"--algo", "pigeon"}, "--algo: pigeon not in"},
      {{"--data", "no/such/file"}, "no/such/file"},
      {{"--speed", "9"}, "--speed"},
  };
  for (const BadCase& bad : cases) {
    const Parsed parsed = parse(bad.arguments);
    EXPECT_FALSE(parsed.options) << bad.complaint;
    EXPECT_NE(parsed.exit_code, 0) << bad.complaint;
    EXPECT_NE(parsed.complaint.find(bad.complaint), std::string::npos) << parsed.complaint;
  }
}

}  // namespace
}  // namespace digits
