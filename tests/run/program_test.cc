// SPDX-License-Identifier: Apache-2.0
#include "run/program.h"

#include <filesystem>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "run/folder.h"

namespace signccl::run {
namespace {

TEST(ProgramTest, ANameWithoutASlashIsLookedForInPath) {
  const Folder folder;
  folder.write("first/tool", "not executable");
  const std::string tool = folder.writeProgram("second/tool", "#!/bin/sh\n");
  EXPECT_EQ(findProgram("tool", folder.at("none") + ":" + folder.at("first") + ":" + folder.at("second")).path, tool);
  EXPECT_EQ(findProgram(tool, "").path, tool);
}

TEST(ProgramTest, AProgramThatIsNotThereHasTheStatusOfEnv) {
  const Folder folder;
  const Program missing = findProgram("tool", folder.at("first"));
  EXPECT_EQ(missing.exit_status, 127);
  EXPECT_EQ(missing.problem, "cannot start 'tool': no folder of PATH has it");
  EXPECT_EQ(findProgram("./no/tool", "").exit_status, 127);
  EXPECT_EQ(findProgram("./no/tool", "").problem, "cannot start './no/tool': No such file or directory");
  EXPECT_EQ(findProgram("", "/bin").exit_status, 127);
}

TEST(ProgramTest, AProgramThatMayNotBeExecutedHasTheStatusOfEnv) {
  const Folder folder;
  const std::string text = folder.write("first/tool", "text");
  EXPECT_EQ(findProgram(text, "").exit_status, 126);
  EXPECT_EQ(findProgram(text, "").problem, "cannot start '" + text + "': Permission denied");
  EXPECT_EQ(findProgram("tool", folder.at("first")).problem,
            "cannot start 'tool': a file of this name in PATH may not be executed");
  EXPECT_EQ(findProgram(folder.at("first"), "").exit_status, 126);
  EXPECT_EQ(findProgram(folder.at("first"), "").problem,
            "cannot start '" + folder.at("first") + "': it is a directory");
}

TEST(ProgramTest, StaticProgramsIgnoreThePreload) {
  const std::string program = SIGNCCL_STATIC_PROGRAM;
  EXPECT_EQ(whyPreloadIsIgnored(program), program + ": it is linked statically");
  EXPECT_EQ(whyPreloadIsIgnored("/proc/self/exe"), "");
}

TEST(ProgramTest, OfAScriptItsInterpreterCounts) {
  const Folder folder;
  const std::string program = SIGNCCL_STATIC_PROGRAM;
  EXPECT_EQ(whyPreloadIsIgnored(folder.writeProgram("a", "#! " + program + " -x\nmore\n")),
            program + ": it is linked statically");
  EXPECT_EQ(whyPreloadIsIgnored(folder.writeProgram("b", "#!/bin/sh\n")), "");
  EXPECT_EQ(whyPreloadIsIgnored(folder.writeProgram("c", "echo no mark\n")), "");
  EXPECT_EQ(whyPreloadIsIgnored(folder.writeProgram("d", "#!")), "");
}

TEST(ProgramTest, SetUidProgramsOfOthersIgnoreThePreload) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can make a program of another user";
  const Folder folder;
  const std::string program = folder.writeProgram("su", "text");
  ASSERT_EQ(chown(program.c_str(), 12345, static_cast<gid_t>(-1)), 0);
  std::filesystem::permissions(program, std::filesystem::perms::set_uid, std::filesystem::perm_options::add);
  EXPECT_EQ(whyPreloadIsIgnored(program), program + ": it is set-uid");
}

}  // namespace
}  // namespace signccl::run
