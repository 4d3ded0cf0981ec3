// SPDX-License-Identifier: Apache-2.0
#include "host/host_identity.h"

#include <future>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

namespace signccl {
namespace {

TEST(HostIdentityTest, MachineAndHostStayTheSame) {
  EXPECT_FALSE(machineIdentity().empty());
  EXPECT_EQ(machineIdentity(), machineIdentity());
  EXPECT_EQ(hostIdentity(), hostIdentity());
  EXPECT_THAT(hostIdentity(), testing::EndsWith("/" + machineIdentity()));
}

TEST(HostIdentityTest, ThreadsOfAProcessAreOneProcess) {
  auto of_another_thread = std::async(std::launch::async, [] { return processIdentity(); });
  EXPECT_EQ(of_another_thread.get(), processIdentity());
}

TEST(HostIdentityTest, ChildAfterForkIsAProcessOfItsOwnOnTheSameHost) {
  const std::uint64_t parent = processIdentity();
  const std::string host = hostIdentity();
  const pid_t child = fork();
  if (child == 0) _exit(processIdentity() != parent && hostIdentity() == host ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(processIdentity(), parent);
}

}  // namespace
}  // namespace signccl
