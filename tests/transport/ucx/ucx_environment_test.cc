// SPDX-License-Identifier: Apache-2.0
#include "transport/ucx/ucx_environment.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signccl {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

/// UCX_TLS is what a test sets.
class UcxEnvironmentTest : public testing::Test {
 protected:
  UcxEnvironmentTest() { unsetenv("UCX_TLS"); }
  ~UcxEnvironmentTest() override {
    unsetenv("UCX_TLS");
    unsetenv("UCX_NET_DEVICES");
  }
  UcxEnvironmentTest(const UcxEnvironmentTest&) = delete;
  UcxEnvironmentTest& operator=(const UcxEnvironmentTest&) = delete;
};

TEST_F(UcxEnvironmentTest, UcxTlsSaysWhichTransportsThereAre) {
  EXPECT_TRUE(ucxMayUseSharedMemory() && ucxMayUseTcp()) << "unset";
  struct Case {
    const char* tls;
    bool shared_memory;
    bool tcp;
  };
  for (const Case& one :
       {Case{"all", true, true}, Case{"tcp", false, true}, Case{"tcp,self", false, true}, Case{"sm", true, false},
        Case{"posix,self", true, false}, Case{"sysv,tcp:aux", true, true}, Case{"rc", false, false},
        Case{"self", false, false}, Case{"^tcp", true, false}, Case{"^posix", true, true}, Case{"^rc,sm", false, true},
        Case{"^mm,tcp", false, false}, Case{"", false, false}, Case{"tcpx,xsm", false, false}}) {
    setenv("UCX_TLS", one.tls, 1);
    EXPECT_EQ(ucxMayUseSharedMemory(), one.shared_memory) << one.tls;
    EXPECT_EQ(ucxMayUseTcp(), one.tcp) << one.tls;
  }
}

TEST_F(UcxEnvironmentTest, VariablesOfUcxAreNamed) {
  setenv("UCX_TLS", "rc", 1);
  setenv("UCX_NET_DEVICES", "ib0", 1);
  // Others may be there.
  EXPECT_THAT(ucxVariablesOfUser(), AllOf(StartsWith(" (the environment has UCX_"), HasSubstr("UCX_NET_DEVICES=ib0, "),
                                          HasSubstr("UCX_TLS=rc"), EndsWith(")")));
}

TEST_F(UcxEnvironmentTest, SmallFolderIsNamedThoughRanksThatFailedHaveFreedIt) {
  EXPECT_THAT(lackOfSharedMemory(0.4, 8.4), HasSubstr("has 0.4 of 8.4 MB free, and a rank takes 4.3"));
  EXPECT_THAT(lackOfSharedMemory(8.4, 8.4), HasSubstr("has 8.4 of 8.4 MB free, and a rank takes 4.3"));
  EXPECT_THAT(lackOfSharedMemory(1, 9000), HasSubstr("has 1.0 of 9000.0 MB free"));
  EXPECT_EQ(lackOfSharedMemory(5, 9000), "");
}

}  // namespace
}  // namespace signccl
