// SPDX-License-Identifier: Apache-2.0
// Which UCX a process takes. Each test has a process of its own in which none is loaded: a death test that ends well.
#include "transport/ucx/ucx_library.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "base/settings.h"
#include "support/caught.h"

namespace signccl {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

/// A library that poses as UCX 1.12 or 1.14.
std::string fakeUcx(int minor) { return SIGNCCL_TESTS_FAKE_UCX + std::to_string(minor) + "/libucp.so.0"; }

std::string fileOfLoaded() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/libucp.so") != std::string::npos) return line.substr(line.find('/'));
  }
  return "";
}

/// A folder with copies of the system's UCX, gone with the object.
class CopiedUcx {
 public:
  CopiedUcx() {
    fs::create_directories(folder_);
    // Asked in another process, since it would be loaded here.
    if (std::system(("ldconfig -p | sed -n 's/.*=> \\(.*\\/libuc[mpst]\\.so\\.0\\)$/\\1/p' | xargs cp -Lt " +  // NOLINT
                     folder_.string())
                        .c_str()) != 0) {
      ADD_FAILURE() << "no UCX to copy";
    }
  }
  ~CopiedUcx() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  CopiedUcx(const CopiedUcx&) = delete;
  CopiedUcx& operator=(const CopiedUcx&) = delete;

  [[nodiscard]] fs::path folder() const { return folder_; }
  [[nodiscard]] fs::path file() const { return folder_ / "libucp.so.0"; }

 private:
  fs::path folder_ = fs::temp_directory_path() / ("signccl_ucx_" + std::to_string(getpid()));
};

/// Runs `body` in a new process, in which no UCX is loaded, and expects what it writes to standard error.
void expectAlone(const std::function<void()>& body, const std::string& words = "") {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        EXPECT_EQ(fileOfLoaded(), "");
        body();
        exit(testing::Test::HasFailure() ? 1 : 0);  // NOLINT(concurrency-mt-unsafe)
      },
      testing::ExitedWithCode(0), HasSubstr(words));
}

/// What is logged goes to standard error.
void logToStandardError() {
  setenv("SIGNCCL_DEBUG", "INFO", 1);
  setenv("SIGNCCL_DEBUG_FILE", "/dev/stderr", 1);
  configureLogging(Settings::load());
}

TEST(UcxLibraryTest, NothingIsLoadedBeforeTheFirstCall) {
  expectAlone([] {
    EXPECT_EQ(fileOfLoaded(), "");
    const UcxLibrary ucx = loadUcx("");
    EXPECT_NE(fileOfLoaded(), "");
    EXPECT_THAT(ucx.version, testing::StartsWith("1."));
  });
}

TEST(UcxLibraryTest, LoadedUcxIsTaken) {
  expectAlone(
      [] {
        const CopiedUcx copy;
        for (const char* const needed : {"libucm.so.0", "libucs.so.0", "libuct.so.0", "libucp.so.0"}) {
          ASSERT_NE(dlopen((copy.folder() / needed).c_str(), RTLD_LAZY | RTLD_LOCAL), nullptr) << dlerror();
        }
        logToStandardError();
        EXPECT_EQ(loadUcx("").file, copy.file());
      },
      "which was loaded in this process");
}

TEST(UcxLibraryTest, LoadedUcxIsTakenBeforeTheOneOfTheSettingWithAWarning) {
  expectAlone(
      [] {
        const CopiedUcx copy;
        ASSERT_NE(dlopen("libucp.so.0", RTLD_NOW | RTLD_LOCAL), nullptr) << dlerror();
        logToStandardError();
        EXPECT_NE(loadUcx(copy.folder()).file, copy.file());
      },
      "is not used: ");
}

TEST(UcxLibraryTest, FileOfTheSettingIsTaken) {
  expectAlone(
      [] {
        const CopiedUcx copy;
        logToStandardError();
        EXPECT_EQ(loadUcx(copy.file()).file, copy.file());
        EXPECT_EQ(fileOfLoaded(), copy.file());
      },
      "as SIGNCCL_UCX_LIBRARY says");
}

TEST(UcxLibraryTest, FolderOfTheSettingIsTakenWithAllThatItHolds) {
  expectAlone([] {
    const CopiedUcx copy;
    const UcxLibrary ucx = loadUcx(copy.folder());
    EXPECT_EQ(ucx.file, copy.file());
    Dl_info info{};
    ASSERT_NE(dladdr(reinterpret_cast<void*>(ucx.functions.ucs_status_string), &info), 0);
    EXPECT_EQ(info.dli_fname, (copy.folder() / "libucs.so.0").string());
  });
}

TEST(UcxLibraryTest, FolderOfAWheelGivesTheFileThatPythonLoads) {
  expectAlone([] {
    const CopiedUcx copy;
    for (const char* const name : {"libucm", "libucs", "libuct", "libucp"}) {
      const std::string unversioned = (copy.folder() / name).string() + ".so";
      fs::copy_file(unversioned + ".0", unversioned);
    }
    EXPECT_EQ(loadUcx(copy.folder()).file, copy.folder() / "libucp.so");
    EXPECT_EQ(dlopen(copy.file().c_str(), RTLD_NOW | RTLD_NOLOAD), nullptr);
  });
}

TEST(UcxLibraryTest, SettingThatNamesNothingIsRefused) {
  expectAlone([] {
    EXPECT_EQ(caught([] { loadUcx("/nowhere/libucp.so.0"); }),
              (Caught{signcclInvalidUsage,
                      "SIGNCCL_UCX_LIBRARY=/nowhere/libucp.so.0: expected the path of libucp.so.0, or "
                      "of a folder that holds it (there is no /nowhere/libucp.so.0)"}));
    EXPECT_THAT(caught([] { loadUcx("/tmp"); }).message, HasSubstr("(there is no /tmp/libucp.so.0)"));
    EXPECT_THAT(caught([] { loadUcx("/etc/passwd"); }).message, HasSubstr("(/etc/passwd: "));
  });
}

TEST(UcxLibraryTest, ProcessWithoutUcxIsToldWhatToInstall) {
  // The dynamic linker of the new process finds this file first and fails over it, as if there were none.
  const fs::path folder = fs::temp_directory_path() / ("signccl_no_ucx_" + std::to_string(getpid()));
  fs::create_directories(folder);
  std::ofstream(folder / "libucp.so.0") << "no library";
  const char* const before = std::getenv("LD_LIBRARY_PATH");
  const std::string restored = before == nullptr ? "" : before;
  setenv("LD_LIBRARY_PATH", (folder.string() + ":" + restored).c_str(), 1);
  expectAlone([] {
    const Caught error = caught([] { loadUcx(""); });
    EXPECT_EQ(error.code, signcclSystemError);
    EXPECT_THAT(error.message, AllOf(HasSubstr("libucp.so.0: "), HasSubstr("install it (Debian: libucx0)"),
                                     HasSubstr("SIGNCCL_UCX_LIBRARY"), HasSubstr("libucx-cu12 or libucx-cu13")));
  });
  setenv("LD_LIBRARY_PATH", restored.c_str(), 1);
  fs::remove_all(folder);
}

TEST(UcxLibraryTest, OlderUcxIsRefused) {
  expectAlone([] {
    const Caught error = caught([] { loadUcx(fakeUcx(12)); });
    EXPECT_EQ(error, (Caught{signcclSystemError, fakeUcx(12) + " is UCX 1.12.0; expected 1.13 or newer, before 2.0"}));
  });
}

TEST(UcxLibraryTest, UcxThatLacksAFunctionIsRefused) {
  expectAlone([] {
    const Caught error = caught([] { loadUcx(fakeUcx(14)); });
    EXPECT_EQ(error.code, signcclSystemError);
    EXPECT_THAT(error.message,
                AllOf(HasSubstr(fakeUcx(14) + " has no ucp_"), HasSubstr("; expected UCX 1.13 or newer")));
  });
}

TEST(UcxLibraryTest, EveryFunctionIsFound) {
  expectAlone([] {
    const UcxLibrary ucx = loadUcx("");
    void* functions[sizeof(UcxFunctions) / sizeof(void*)];
    static_assert(sizeof functions == sizeof(UcxFunctions));
    std::memcpy(static_cast<void*>(functions), &ucx.functions, sizeof functions);
    for (const void* const function : functions) EXPECT_NE(function, nullptr);
  });
}

}  // namespace
}  // namespace signccl
