// SPDX-License-Identifier: Apache-2.0
#include "rules/settings.h"

#include <cstdlib>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "rules/errors.h"

namespace signccl::rules {
namespace {

Environment with(const std::string& rules, const std::string& mode) {
  return [=](const char* name) -> std::string {
    if (std::string_view(name) == "SIGNCCL_RULES") return rules;
    if (std::string_view(name) == "SIGNCCL_INTERPOSE") return mode;
    return {};
  };
}

TEST(SettingsTest, WithoutVariablesEverythingIsForwarded) {
  const Settings settings = Settings::load(with("", ""));
  EXPECT_EQ(settings.mode, Mode::kOn);
  EXPECT_TRUE(settings.rules.rules().empty());
}

TEST(SettingsTest, TheModeIsReadWithoutCase) {
  EXPECT_EQ(Settings::load(with("", "DRY")).mode, Mode::kDry);
  EXPECT_EQ(Settings::load(with("", "off")).mode, Mode::kOff);
  EXPECT_NE(Settings::load(with("", "dry")).digest(), Settings::load(with("", "on")).digest());
}

TEST(SettingsTest, AnUnknownModeIsRefused) {
  try {
    Settings::load(with("", "maybe"));
    FAIL();
  } catch (const RulesError& error) {
    EXPECT_STREQ(error.what(), "SIGNCCL_INTERPOSE=maybe: expected one of on, off, dry");
  }
}

TEST(SettingsTest, TheTimeoutIsAWholeNumberOfSeconds) {
  const auto load = [](const std::string& timeout) {
    return Settings::load([=](const char* name) -> std::string {
      return std::string_view(name) == "SIGNCCL_INTERPOSE_TIMEOUT" ? timeout : "";
    });
  };
  EXPECT_EQ(load("").comparison_timeout, std::chrono::seconds(8));
  EXPECT_EQ(load("1").comparison_timeout, std::chrono::seconds(1));
  EXPECT_EQ(load("3600").comparison_timeout, std::chrono::seconds(3600));
  for (const char* const wrong : {"0", "3601", "-1", "2.5", "ten", "10s"}) {
    try {
      load(wrong);
      ADD_FAILURE() << wrong;
    } catch (const RulesError& error) {
      EXPECT_EQ(error.what(), "SIGNCCL_INTERPOSE_TIMEOUT=" + std::string(wrong) + ": expected seconds from 1 to 3600");
    }
  }
}

TEST(SettingsTest, BadRulesAreAnErrorUnlessInterpositionIsOff) {
  EXPECT_THROW(Settings::load(with("{", "on")), RulesError);
  EXPECT_THROW(Settings::load(with("{", "dry")), RulesError);
  EXPECT_NO_THROW(Settings::load(with("{", "off")));
}

TEST(SettingsTest, BlanksAroundAValueAreLeftOut) {
  setenv("SIGNCCL_TEST_VARIABLE", " a b \r\n", 1);
  EXPECT_EQ(environmentVariable("SIGNCCL_TEST_VARIABLE"), "a b");
  setenv("SIGNCCL_TEST_VARIABLE", "  ", 1);
  EXPECT_EQ(environmentVariable("SIGNCCL_TEST_VARIABLE"), "");
  unsetenv("SIGNCCL_TEST_VARIABLE");
  EXPECT_EQ(environmentVariable("SIGNCCL_TEST_VARIABLE"), "");
}

TEST(SettingsTest, ADigestHasSixteenDigits) {
  EXPECT_EQ(digestText(0), "0000000000000000");
  EXPECT_EQ(digestText(0x0123456789abcdefU), "0123456789abcdef");
}

}  // namespace
}  // namespace signccl::rules
