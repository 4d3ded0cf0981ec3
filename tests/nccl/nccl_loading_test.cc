// SPDX-License-Identifier: Apache-2.0
// Which NCCL is loaded, and what is said of one that is missing or too old. This program has none; a process that gets
// one is a death test that ends well.
#include <cstdlib>
#include <dlfcn.h>
#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nccl/nccl_library.h"
#include "support/caught.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

/// Runs `body` in a new process.
void expectAlone(const std::function<void()>& body) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        body();
        exit(testing::Test::HasFailure() ? 1 : 0);  // NOLINT(concurrency-mt-unsafe)
      },
      testing::ExitedWithCode(0), "");
}

const std::string kFake = SIGNCCL_TESTS_FAKE_NCCL;

TEST(NcclLoadingTest, TheLibraryThatTheSettingNamesIsLoaded) {
  expectAlone([] {
    const NcclLibrary& nccl = loadNccl(kFake);
    EXPECT_EQ(nccl.file, kFake);
    EXPECT_EQ(ncclVersionText(nccl.version), "2.30.3");
    EXPECT_EQ(&loadNccl(""), &nccl) << "one NCCL for the process";
  });
}

TEST(NcclLoadingTest, TheSettingMayNameTheFolder) {
  expectAlone([] { EXPECT_EQ(loadNccl(kFake.substr(0, kFake.rfind('/'))).file, kFake); });
}

TEST(NcclLoadingTest, ALibraryThatIsLoadedAlreadyIsTaken) {
  expectAlone([] {
    ASSERT_NE(dlopen(kFake.c_str(), RTLD_NOW | RTLD_LOCAL), nullptr) << dlerror();
    EXPECT_EQ(loadNccl("/nowhere").file, kFake);
  });
}

TEST(NcclLoadingTest, ASettingThatNamesNoLibraryIsAnError) {
  expectAlone([] {
    const Caught error = caught([] { (void)loadNccl("/nowhere/libnccl.so.2"); });
    EXPECT_EQ(error.code, signcclInvalidUsage);
    EXPECT_THAT(error.message, HasSubstr("SIGNCCL_NCCL_LIBRARY=/nowhere/libnccl.so.2: expected the path of "
                                         "libnccl.so.2, or of a folder that holds it"));
  });
}

TEST(NcclLoadingTest, WithoutNcclTheErrorSaysWhatToInstall) {
  expectAlone([] {
    if (dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL) != nullptr) return;  // this machine has one
    const Caught error = caught([] { (void)loadNccl(""); });
    EXPECT_EQ(error.code, signcclSystemError);
    EXPECT_THAT(error.message, HasSubstr("SIGNCCL_TRANSPORT=nccl needs NCCL, and libnccl.so.2 cannot be loaded"));
    EXPECT_THAT(error.message, HasSubstr("install NVIDIA's package libnccl2"));
  });
}

TEST(NcclLoadingTest, AnOldNcclIsRefusedWithItsVersion) {
  expectAlone([] {
    const Caught error = caught([] { (void)loadNccl(SIGNCCL_TESTS_OLD_NCCL); });
    EXPECT_EQ(error.code, signcclSystemError);
    EXPECT_THAT(error.message, HasSubstr(SIGNCCL_TESTS_OLD_NCCL " is NCCL 2.17.1, expected 2.18.1 or newer"));
  });
}

TEST(NcclLoadingTest, ALibraryThatLacksAFunctionIsRefusedWithItsName) {
  expectAlone([] {
    const Caught error = caught([] { (void)loadNccl(SIGNCCL_TESTS_ODD_NCCL); });
    EXPECT_EQ(error.code, signcclSystemError);
    EXPECT_THAT(error.message, HasSubstr("has no function ncclGetUniqueId, expected NCCL 2.18.1 or newer"));
  });
}

}  // namespace
}  // namespace signccl
