// SPDX-License-Identifier: Apache-2.0
#include "base/trace_file.h"

#include <filesystem>
#include <optional>
#include <unistd.h>

#include <gmock/gmock.h>
#include <sys/wait.h>

#include "base/process_name.h"
#include "environment.h"

namespace signccl {
namespace {

using testing::HasSubstr;

class TraceFileTest : public EnvironmentTest {
 protected:
  /// The name that the second taker of `path(name)` in this process gets.
  [[nodiscard]] std::string second(const std::string& stem, const std::string& extension = "") const {
    return path(stem + "." + hostName() + "." + std::to_string(getpid()) + extension);
  }
  [[nodiscard]] bool exists(const std::string& name) const { return std::filesystem::exists(path(name)); }
};

// Locks belong to open files, so that two TraceFile of one process are to each other what those of two processes are.

TEST_F(TraceFileTest, ANameThatNobodyHasIsTaken) {
  const TraceFile file(path("trace.json"));
  EXPECT_EQ(file.path(), path("trace.json"));
  EXPECT_TRUE(exists("trace.json"));
}

TEST_F(TraceFileTest, ANameThatALivingProcessHasGetsHostAndProcessBeforeItsExtension) {
  const TraceFile first(path("trace.json"));
  const TraceFile other(path("trace.json"));
  EXPECT_EQ(other.path(), second("trace", ".json"));
  EXPECT_EQ(other.wanted(), path("trace.json"));
  EXPECT_EQ(first.path(), path("trace.json"));
}

TEST_F(TraceFileTest, NameOfAProcessThatHasEndedIsTakenAgain) {
  const pid_t child = fork();
  if (child == 0) {
    const TraceFile file(path("trace.json"));
    _exit(file.path() == path("trace.json") ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(TraceFile(path("trace.json")).path(), path("trace.json"));
}

TEST_F(TraceFileTest, ForkedChildGetsANameOfItsOwn) {
  const TraceFile parents(path("trace.json"));
  const pid_t child = fork();
  if (child == 0) {
    const TraceFile file(path("trace.json"));
    _exit(file.path() == second("trace", ".json") ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(TraceFileTest, FilesOfProcessesThatShareANameAreAllNamedByRank) {
  TraceFile files[] = {TraceFile(path("trace.json")), TraceFile(path("trace.json")), TraceFile(path("trace.json"))};
  files[0].nameByRankIfShared(2);
  files[1].nameByRankIfShared(0);
  files[2].nameByRankIfShared(1);
  EXPECT_EQ(files[0].path(), path("trace.2.json"));
  EXPECT_EQ(files[1].path(), path("trace.0.json"));
  EXPECT_EQ(files[2].path(), path("trace.1.json"));
  for (const TraceFile& file : files) EXPECT_TRUE(std::filesystem::exists(file.path()));
  EXPECT_FALSE(exists("trace.json"));
}

TEST_F(TraceFileTest, ANameThatNobodyElseWantedStays) {
  TraceFile one(path("one.json"));
  TraceFile two(path("two.json"));
  one.nameByRankIfShared(0);
  two.nameByRankIfShared(1);
  EXPECT_EQ(one.path(), path("one.json"));
  EXPECT_EQ(two.path(), path("two.json"));
}

TEST_F(TraceFileTest, OnlyTheFirstRankNamesTheFile) {
  TraceFile first(path("trace.json"));
  TraceFile other(path("trace.json"));
  first.nameByRankIfShared(3);
  first.nameByRankIfShared(0);
  EXPECT_EQ(first.path(), path("trace.3.json"));
}

TEST_F(TraceFileTest, FileOfAnEarlierRunIsReplacedAndThatOfALivingProcessIsNot) {
  write("trace.0", "of an earlier run");
  TraceFile first(path("trace"));
  TraceFile other(path("trace"));
  first.nameByRankIfShared(0);
  EXPECT_EQ(first.path(), path("trace.0"));
  EXPECT_EQ(read("trace.0"), "");
  other.nameByRankIfShared(0);  // of another communicator
  EXPECT_EQ(other.path(), second("trace"));
}

TEST_F(TraceFileTest, DotsOfFoldersAreNoExtensions) {
  std::filesystem::create_directory(path("run.5"));
  const TraceFile first(path("run.5/trace"));
  EXPECT_EQ(TraceFile(path("run.5/trace")).path(), second("run.5/trace"));
}

TEST_F(TraceFileTest, DevicesAreSharedAndNeverRenamed) {
  TraceFile first("/dev/null");
  TraceFile other("/dev/null");
  other.nameByRankIfShared(1);
  EXPECT_EQ(first.path(), "/dev/null");
  EXPECT_EQ(other.path(), "/dev/null");
}

TEST_F(TraceFileTest, LinksAreRefused) {
  write("precious", "mine");
  std::filesystem::create_symlink(path("precious"), path("trace"));
  EXPECT_THAT(usageErrorOf([&] { const TraceFile file(path("trace")); }),
              testing::AllOf(HasSubstr("SIGNCCL_TRACE=" + path("trace")), HasSubstr("it is a symbolic link")));
  EXPECT_EQ(read("precious"), "mine");
}

TEST_F(TraceFileTest, FileIsForItsOwnerAlone) {
  const TraceFile file(path("trace"));
  EXPECT_EQ(std::filesystem::status(path("trace")).permissions(), std::filesystem::perms(0600));
}

TEST_F(TraceFileTest, FileThatCannotBeCreatedIsAnErrorWithNameAndReason) {
  EXPECT_THAT(usageErrorOf([&] { const TraceFile file(path("absent/trace")); }),
              testing::AllOf(HasSubstr("SIGNCCL_TRACE=" + path("absent/trace")), HasSubstr("No such file")));
}

}  // namespace
}  // namespace signccl
