// SPDX-License-Identifier: Apache-2.0
#include "base/private_file.h"

#include <cstdio>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/trace.h"
#include "environment.h"

namespace signccl {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class PrivateFileTest : public EnvironmentTest {
 protected:
  PrivateFileTest() { umask_ = umask(0); }
  ~PrivateFileTest() override { umask(umask_); }
  PrivateFileTest(const PrivateFileTest&) = delete;
  PrivateFileTest& operator=(const PrivateFileTest&) = delete;

  [[nodiscard]] std::string modeOf(const std::string& file) const {
    struct stat status{};
    if (stat(path(file).c_str(), &status) != 0) return "no file";
    std::string digits;
    for (const unsigned shift : {6U, 3U, 0U}) digits += std::to_string((status.st_mode >> shift) & 7U);
    return digits;
  }

 private:
  mode_t umask_;
};

TEST_F(PrivateFileTest, IsForItsOwnerAlone) {
  PrivateFile file(path("new"), "the list LIST");
  EXPECT_EQ(modeOf("new"), "600");
}

TEST_F(PrivateFileTest, HoldsWhatIsWritten) {
  write("file", "what was there before");
  PrivateFile file(path("file"), "the list LIST");
  file.append("one, two, three");
  file.writeAt(5, "2!");
  EXPECT_EQ(read("file"), "one, 2!o, three");
}

TEST_F(PrivateFileTest, FollowsNoLink) {
  write("mine", "precious");
  fs::create_symlink(path("mine"), path("link"));
  EXPECT_EQ(usageErrorOf([&] { PrivateFile(path("link"), "the list LIST"); }),
            "cannot write the list LIST=" + path("link") + ": it is a symbolic link, and links are not followed");
  EXPECT_EQ(read("mine"), "precious");
  fs::create_symlink(path("nothing"), path("dangling"));
  EXPECT_THAT(usageErrorOf([&] { PrivateFile(path("dangling"), "the list LIST"); }), HasSubstr("symbolic link"));
  EXPECT_FALSE(fs::exists(path("nothing")));
}

TEST_F(PrivateFileTest, AppendsToDevices) {
  testing::internal::CaptureStderr();
  std::fputs("before, ", stderr);
  PrivateFile("/dev/stderr", "the list LIST").append("after");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "before, after");
}

TEST_F(PrivateFileTest, FolderThatIsNotThereIsNamed) {
  EXPECT_EQ(usageErrorOf([&] { PrivateFile(path("none/file"), "the list LIST"); }),
            "cannot write the list LIST=" + path("none/file") + ": No such file or directory");
}

TEST_F(PrivateFileTest, TracesAndLogsAreSuchFiles) {
  const TraceWriter trace(path("trace"));
  EXPECT_EQ(modeOf("trace"), "600");
  set("SIGNCCL_DEBUG", "WARN");
  set("SIGNCCL_DEBUG_FILE", path("log"));
  configureLogging(load());
  EXPECT_EQ(modeOf("log"), "600");
  fs::create_symlink(path("mine"), path("link"));
  set("SIGNCCL_DEBUG_FILE", path("link"));
  EXPECT_THAT(usageErrorOf([&] { configureLogging(load()); }), HasSubstr("SIGNCCL_DEBUG_FILE=" + path("link")));
  EXPECT_THAT(usageErrorOf([&] { TraceWriter(path("link")); }), HasSubstr("SIGNCCL_TRACE=" + path("link")));
  EXPECT_FALSE(fs::exists(path("mine")));
  unset("SIGNCCL_DEBUG");
  unset("SIGNCCL_DEBUG_FILE");
  configureLogging(load());
}

TEST_F(PrivateFileTest, WhoMayReadAFileIsTold) {
  write("secret", "");
  for (const auto& [mode, expected] :
       {std::pair(0600U, ""), {0640U, "its mode is 0640"}, {0604U, "its mode is 0604"}, {0400U, ""}, {0622U, ""}}) {
    ASSERT_EQ(chmod(path("secret").c_str(), mode), 0);
    EXPECT_EQ(whyOthersCanRead(path("secret")), expected);
  }
  EXPECT_EQ(whyOthersCanRead(path("none")), "No such file or directory");
}

TEST_F(PrivateFileTest, AGroupMayReadTheFileOfAnotherOwner) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  write("secret", "");
  ASSERT_EQ(chown(path("secret").c_str(), 12345, 12345), 0);
  chmod(path("secret").c_str(), 0440);
  EXPECT_EQ(whyOthersCanRead(path("secret")), "");
  chmod(path("secret").c_str(), 0444);
  EXPECT_EQ(whyOthersCanRead(path("secret")), "its mode is 0444");
}

}  // namespace
}  // namespace signccl
