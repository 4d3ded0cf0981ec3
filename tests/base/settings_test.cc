// SPDX-License-Identifier: Apache-2.0
#include "base/settings.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>

#include "environment.h"

namespace signccl {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using SettingsTest = EnvironmentTest;

constexpr std::array<std::string_view, 3> kColours{"red", "green", "blue"};

TEST_F(SettingsTest, FileWithASecretThatOthersMayReadIsRefused) {
  const std::string file = write("conf", "SIGNCCL_ALGO=ring\nSIGNCCL_COMM_SECRET=sesame\n");
  set("SIGNCCL_CONF_FILE", file);
  std::filesystem::permissions(file, std::filesystem::perms{0644});
  EXPECT_EQ(usageErrorOf([&] { load(); }), file +
                                               ":2: the file has a secret, so no other user may read it: its mode is "
                                               "0644, expected 0600");
  std::filesystem::permissions(file, std::filesystem::perms{0600});
  EXPECT_EQ(load().text("SIGNCCL_COMM_SECRET"), "sesame");
}

TEST_F(SettingsTest, TableIsSortedAndSaysWhatEachSettingMeans) {
  const auto known = knownSettings();
  EXPECT_TRUE(std::ranges::is_sorted(known, {}, [](const SettingInfo& info) { return std::string_view(info.name); }));
  for (const SettingInfo& info : known) {
    EXPECT_THAT(info.name, testing::StartsWith("SIGNCCL_"));
    EXPECT_STRNE(info.values, "") << info.name;
    EXPECT_STRNE(info.meaning, "") << info.name;
  }
}

TEST_F(SettingsTest, WithoutEnvironmentAndFilesNothingIsSet) {
  const Settings settings = load();
  EXPECT_TRUE(settings.entries().empty());
  EXPECT_EQ(settings.text("SIGNCCL_ALGO"), std::nullopt);
  EXPECT_EQ(settings.integer("SIGNCCL_NTHREADS", 3, 1, 1024), 3);
  EXPECT_EQ(settings.choice("SIGNCCL_ALGO", kColours, "none"), "none");
}

TEST_F(SettingsTest, EnvironmentWinsOverNamedFileWhichWinsOverTheSystemFile) {
  set("SIGNCCL_CONF_FILE", write("named.conf", "SIGNCCL_ALGO=named\nSIGNCCL_NTHREADS=named\n"));
  set("SIGNCCL_ALGO", "environment");
  const std::string system =
      write("system.conf", "SIGNCCL_ALGO=system\nSIGNCCL_NTHREADS=system\nSIGNCCL_TIMEOUT=system\n");
  const Settings settings = Settings::load(system);
  EXPECT_EQ(settings.text("SIGNCCL_ALGO"), "environment");
  EXPECT_EQ(settings.text("SIGNCCL_NTHREADS"), "named");
  EXPECT_EQ(settings.text("SIGNCCL_TIMEOUT"), "system");
}

TEST_F(SettingsTest, FileInTheHomeDirectoryWinsOverTheSystemFile) {
  const std::string home = write(".signccl.conf", "SIGNCCL_ALGO=home\n");
  const Settings settings = Settings::load(write("system.conf", "SIGNCCL_ALGO=system\n"));
  EXPECT_EQ(settings.text("SIGNCCL_ALGO"), "home");
  ASSERT_EQ(settings.entries().size(), 1U);
  EXPECT_EQ(settings.entries().front().origin, home + ":1");
}

TEST_F(SettingsTest, NamedFileReplacesTheFileInTheHomeDirectory) {
  write(".signccl.conf", "SIGNCCL_ALGO=home\n");
  set("SIGNCCL_CONF_FILE", write("named.conf", ""));
  EXPECT_EQ(load().text("SIGNCCL_ALGO"), std::nullopt);
}

TEST_F(SettingsTest, EmptyValueHidesTheFiles) {
  set("SIGNCCL_CONF_FILE", write("named.conf", "SIGNCCL_ALGO=ring\n"));
  set("SIGNCCL_ALGO", "");
  EXPECT_EQ(load().text("SIGNCCL_ALGO"), std::nullopt);
}

TEST_F(SettingsTest, EveryLoadReadsTheEnvironmentAgain) {
  set("SIGNCCL_ALGO", "ring");
  const Settings first = load();
  set("SIGNCCL_ALGO", "tree");
  EXPECT_EQ(load().text("SIGNCCL_ALGO"), "tree");
  EXPECT_EQ(first.text("SIGNCCL_ALGO"), "ring");
}

TEST_F(SettingsTest, BlanksCommentsAndLineEndsOfAFileAreSkipped) {
  set("SIGNCCL_CONF_FILE",
      write("named.conf", "# a comment\n\n  \t# another\n SIGNCCL_ALGO = ring \r\nSIGNCCL_TRACE=a=b#c"));
  const Settings settings = load();
  EXPECT_EQ(settings.text("SIGNCCL_ALGO"), "ring");
  EXPECT_EQ(settings.text("SIGNCCL_TRACE"), "a=b#c");
}

TEST_F(SettingsTest, MissingConfFileIsAnErrorWithFileAndReason) {
  set("SIGNCCL_CONF_FILE", path("absent.conf"));
  EXPECT_THAT(usageErrorOf([&] { load(); }), AllOf(HasSubstr(path("absent.conf")), HasSubstr("No such file")));
}

TEST_F(SettingsTest, ConfFileThatIsAFolderIsAnErrorWithFileAndReason) {
  set("SIGNCCL_CONF_FILE", path(""));
  EXPECT_THAT(usageErrorOf([&] { load(); }), AllOf(HasSubstr(path("")), HasSubstr("directory")));
}

TEST_F(SettingsTest, MalformedLineIsAnErrorWithFileAndLine) {
  for (const std::string line : {"SIGNCCL_ALGO ring", "=ring"}) {
    set("SIGNCCL_CONF_FILE", write("bad.conf", "# first\n" + line + "\n"));
    EXPECT_THAT(usageErrorOf([&] { load(); }), AllOf(HasSubstr(path("bad.conf") + ":2"), HasSubstr(line)));
  }
}

TEST_F(SettingsTest, UnknownNameInAFileIsAnErrorThatListsTheNames) {
  set("SIGNCCL_CONF_FILE", write("bad.conf", "SIGNCCL_ALGORITHM=ring\n"));
  EXPECT_THAT(usageErrorOf([&] { load(); }),
              AllOf(HasSubstr(":1"), HasSubstr("SIGNCCL_ALGORITHM"), HasSubstr("SIGNCCL_ALGO, SIGNCCL_COMM_ID")));
}

TEST_F(SettingsTest, ConfFileInAFileIsAnError) {
  set("SIGNCCL_CONF_FILE", write("bad.conf", "SIGNCCL_CONF_FILE=other.conf\n"));
  EXPECT_THAT(usageErrorOf([&] { load(); }), HasSubstr("in the environment only"));
}

TEST_F(SettingsTest, UnknownVariablesAreNoted) {
  set("SIGNCCL_ALGORITHM", "ring");
  EXPECT_EQ(load().unknownVariables(), std::vector<std::string>{"SIGNCCL_ALGORITHM"});
}

TEST_F(SettingsTest, VariablesOfOtherPartsAreNotUnknown) {
  ASSERT_FALSE(variablesOfOtherParts().empty());
  for (const SettingInfo& one : variablesOfOtherParts()) set(one.name, "x");
  EXPECT_THAT(load().unknownVariables(), testing::IsEmpty());
}

TEST_F(SettingsTest, IntegersAreDecimalOrHexadecimal) {
  const std::vector<std::pair<std::string, std::int64_t>> cases{{"7", 7},     {"-7", -7},    {"010", 10},
                                                                {"0x10", 16}, {"0XfF", 255}, {" 7 ", 7}};
  for (const auto& [text, value] : cases) {
    set("SIGNCCL_NTHREADS", text);
    EXPECT_EQ(load().integer("SIGNCCL_NTHREADS", 1, -100, 300), value) << text;
  }
}

TEST_F(SettingsTest, SignBehindTheHexadecimalPrefixIsAnError) {
  set("SIGNCCL_NTHREADS", "0x-5");
  EXPECT_THAT(usageErrorOf([&] { (void)load().integer("SIGNCCL_NTHREADS", 1, -100, 300); }), HasSubstr("0x-5"));
}

TEST_F(SettingsTest, AnythingElseThanAnIntegerInRangeIsAnErrorThatNamesTheRange) {
  for (const std::string text : {"0", "1025", "four", "4x", "4.0", "0x", "--4", "99999999999999999999"}) {
    set("SIGNCCL_NTHREADS", text);
    EXPECT_THAT(usageErrorOf([&] { (void)load().integer("SIGNCCL_NTHREADS", 1, 1, 1024); }),
                AllOf(HasSubstr("SIGNCCL_NTHREADS=" + text + " "), HasSubstr("environment"), HasSubstr("1 to 1024")));
  }
}

TEST_F(SettingsTest, EndsOfTheRangeBelongToIt) {
  set("SIGNCCL_NTHREADS", "1");
  EXPECT_EQ(load().integer("SIGNCCL_NTHREADS", 5, 1, 1024), 1);
  set("SIGNCCL_NTHREADS", "1024");
  EXPECT_EQ(load().integer("SIGNCCL_NTHREADS", 5, 1, 1024), 1024);
}

TEST_F(SettingsTest, ChoicesIgnoreCase) {
  set("SIGNCCL_ALGO", "GREEN");
  EXPECT_EQ(load().choice("SIGNCCL_ALGO", kColours, "red"), "green");
}

TEST_F(SettingsTest, UnknownChoiceIsAnErrorThatListsTheChoices) {
  set("SIGNCCL_ALGO", "gree");
  EXPECT_THAT(usageErrorOf([&] { (void)load().choice("SIGNCCL_ALGO", kColours, "red"); }),
              AllOf(HasSubstr("SIGNCCL_ALGO=gree "), HasSubstr("red, green, blue")));
}

TEST_F(SettingsTest, AskingForASettingThatIsNotInTheTableIsABug) {
  EXPECT_THROW((void)load().text("SIGNCCL_ALGORITHM"), Error);
}

}  // namespace
}  // namespace signccl
