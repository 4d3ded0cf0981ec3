// SPDX-License-Identifier: Apache-2.0
#include "run/options.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signccl::run {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string whyRefused(const std::vector<std::string>& arguments) {
  try {
    parseOptions(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(OptionsTest, OptionsEndAtTwoDashesOrAtTheProgram) {
  EXPECT_THAT(parseOptions({"--dry", "--", "--odd", "-x"}).command, ElementsAre("--odd", "-x"));
  const Options options = parseOptions({"--quiet", "python3", "--rules", "its.json"});
  EXPECT_THAT(options.command, ElementsAre("python3", "--rules", "its.json"));
  EXPECT_EQ(options.rules, std::nullopt);
  EXPECT_TRUE(options.is_quiet);
  EXPECT_FALSE(options.is_dry);
}

TEST(OptionsTest, RulesComeAfterABlankOrAnEqualsSign) {
  EXPECT_EQ(parseOptions({"--rules", "a.json", "x"}).rules, "a.json");
  EXPECT_EQ(parseOptions({"--rules=a=b.json", "x"}).rules, "a=b.json");
}

TEST(OptionsTest, OneLibraryOrBothArePreloaded) {
  EXPECT_EQ(parseOptions({"x"}).wanted, Wanted::kAuto);
  EXPECT_EQ(parseOptions({"--auto", "x"}).wanted, Wanted::kAuto);
  EXPECT_EQ(parseOptions({"--mpi", "--mpi", "x"}).wanted, Wanted::kMpi);
  EXPECT_EQ(parseOptions({"--nccl", "x"}).wanted, Wanted::kNccl);
  EXPECT_EQ(whyRefused({"--nccl", "--mpi", "x"}), "--nccl and --mpi: expected one of --mpi, --nccl, --auto");
}

TEST(OptionsTest, AWrongCommandLineSaysWhatWasExpected) {
  EXPECT_EQ(whyRefused({}), "expected a program to start; signccl-run --help says more");
  EXPECT_EQ(whyRefused({"--dry", "--"}), "expected a program to start; signccl-run --help says more");
  EXPECT_EQ(whyRefused({"--rules"}), "--rules: expected a file after it");
  EXPECT_EQ(whyRefused({"--rules", " ", "x"}), "--rules: expected a file, found an empty text");
  EXPECT_EQ(whyRefused({"--rules=", "x"}), "--rules: expected a file, found an empty text");
  EXPECT_EQ(whyRefused({"--rule", "x"}), "--rule: no such option; signccl-run --help lists them, and -- ends them");
}

TEST(OptionsTest, HelpNamesEveryOption) {
  const std::string help = parseOptions({"--help"}).text;
  for (const char* const option : {"--rules", "--dry", "--mpi", "--nccl", "--auto", "--quiet", "--version"}) {
    EXPECT_THAT(help, HasSubstr(option));
  }
  EXPECT_THAT(parseOptions({"--version"}).text, testing::MatchesRegex("signccl-run [0-9.]+\n"));
}

}  // namespace
}  // namespace signccl::run
