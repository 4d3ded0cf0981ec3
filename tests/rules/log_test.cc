// SPDX-License-Identifier: Apache-2.0
#include "rules/log.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules/captured_log.h"
#include "rules/errors.h"

namespace signccl::rules {
namespace {

Environment environmentOf(const std::map<std::string, std::string>& variables) {
  return [variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  };
}

std::string whyRefused(const Environment& environment) {
  try {
    const Log log(environment);
  } catch (const RulesError& error) {
    return error.what();
  }
  return "";
}

TEST(LogTest, ALineHasHostProcessThreadRankAndLevel) {
  const CapturedLog log(LogLevel::kInfo);
  log.log().line(LogLevel::kInfo, 5, "one");
  log.log().line(LogLevel::kWarn, kNoRank, "two");
  log.log().line(LogLevel::kTrace, 5, "three");
  EXPECT_THAT(log.lines(), testing::ElementsAre("[5] SIGNCCL INFO one", "SIGNCCL WARN two"));
}

TEST(LogTest, LevelAndSubsystemChoose) {
  const auto info = [](const std::map<std::string, std::string>& variables) {
    return Log(environmentOf(variables)).isEnabled(LogLevel::kInfo);
  };
  EXPECT_FALSE(info({}));
  EXPECT_FALSE(info({{"SIGNCCL_DEBUG", "WARN"}}));
  EXPECT_TRUE(info({{"SIGNCCL_DEBUG", "info"}}));
  EXPECT_TRUE(info({{"SIGNCCL_DEBUG", "TRACE"}}));
  EXPECT_TRUE(info({{"SIGNCCL_DEBUG", "INFO"}, {"SIGNCCL_DEBUG_SUBSYS", "INIT,INTERPOSE"}}));
  EXPECT_TRUE(info({{"SIGNCCL_DEBUG", "INFO"}, {"SIGNCCL_DEBUG_SUBSYS", "ALL"}}));
  EXPECT_FALSE(info({{"SIGNCCL_DEBUG", "INFO"}, {"SIGNCCL_DEBUG_SUBSYS", "INIT"}}));
  EXPECT_TRUE(info({{"SIGNCCL_DEBUG", "INFO"}, {"SIGNCCL_DEBUG_SUBSYS", "^INIT"}}));
  EXPECT_FALSE(info({{"SIGNCCL_DEBUG", "INFO"}, {"SIGNCCL_DEBUG_SUBSYS", "^INTERPOSE"}}));
}

TEST(LogTest, WarningsBelongToNoSubsystem) {
  const Log log(environmentOf({{"SIGNCCL_DEBUG", "INFO"}, {"SIGNCCL_DEBUG_SUBSYS", "INIT"}}));
  EXPECT_TRUE(log.isEnabled(LogLevel::kWarn));
}

TEST(LogTest, UnknownLevelsAndSubsystemsAreRefused) {
  EXPECT_EQ(whyRefused(environmentOf({{"SIGNCCL_DEBUG", "LOUD"}})),
            "SIGNCCL_DEBUG=LOUD: expected one of VERSION, WARN, INFO, TRACE");
  EXPECT_EQ(
      whyRefused(environmentOf({{"SIGNCCL_DEBUG", "INFO"}, {"SIGNCCL_DEBUG_SUBSYS", "INIT,RULES"}})),
      "SIGNCCL_DEBUG_SUBSYS=INIT,RULES: expected a comma list, after ^ for all but these, of INIT COLL NET TUNING ENV "
      "ALLOC CALL BOOTSTRAP DESTROY INTERPOSE ALL");
}

TEST(LogTest, TheFileIsBesideTheLibrarysAndForItsOwnerAlone) {
  const std::string name = testing::TempDir() + "rules_log_test";
  const std::string path = name + "." + std::to_string(getpid()) + ".interpose";
  {
    const Log log(environmentOf(
        {{"SIGNCCL_DEBUG", "INFO"}, {"SIGNCCL_DEBUG_FILE", name + ".%p"}, {"SIGNCCL_DEBUG_TIMESTAMP_FORMAT", "[%Y]"}}));
    log.line(LogLevel::kInfo, 2, "text");
  }
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_THAT(text.str(), testing::MatchesRegex("\\[[0-9]+\\] [^ ]+:[0-9]+:[0-9]+ \\[2\\] SIGNCCL INFO text\n"));
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
  std::filesystem::remove(path);
}

TEST(LogTest, AFileThatCannotBeWrittenIsRefused) {
  EXPECT_EQ(whyRefused(environmentOf({{"SIGNCCL_DEBUG", "INFO"}, {"SIGNCCL_DEBUG_FILE", "/nowhere/log"}})),
            "SIGNCCL_DEBUG_FILE=/nowhere/log: cannot write /nowhere/log.interpose: No such file or directory");
}

}  // namespace
}  // namespace signccl::rules
