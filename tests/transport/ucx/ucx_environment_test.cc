#include "transport/ucx/ucx_environment.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace signccl {
namespace {

/// The environment has no other variable of UCX than those that a test sets.
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
  EXPECT_EQ(ucxVariablesOfUser(), " (the environment has UCX_NET_DEVICES=ib0, UCX_TLS=rc)");
}

}  // namespace
}  // namespace signccl
