// SPDX-License-Identifier: Apache-2.0
#include "control/own_sockets.h"

#include <array>
#include <fcntl.h>
#include <functional>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace signccl {
namespace {

/// A pair of sockets, of which the child must not keep the first.
class OwnSocketsTest : public testing::Test {
 protected:
  OwnSocketsTest() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair_.data()), 0); }
  ~OwnSocketsTest() override {
    for (const int socket : pair_) close(socket);
  }
  OwnSocketsTest(const OwnSocketsTest&) = delete;
  OwnSocketsTest& operator=(const OwnSocketsTest&) = delete;

  [[nodiscard]] int hidden() const { return pair_[0]; }
  [[nodiscard]] int other() const { return pair_[1]; }

  static bool isOpen(int socket) { return fcntl(socket, F_GETFD) >= 0; }

  /// What `body` says in a forked child.
  static bool inChild(const std::function<bool()>& body) {
    const pid_t child = fork();
    if (child == 0) _exit(body() ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    return status == 0;
  }

  std::array<int, 2> pair_{-1, -1};
};

TEST_F(OwnSocketsTest, ForkedChildKeepsAllButTheHiddenOne) {
  hideFromChildren(hidden());
  EXPECT_TRUE(inChild([&] { return !isOpen(hidden()) && isOpen(other()); }));
  EXPECT_TRUE(isOpen(hidden())) << "the parent keeps it";
}

TEST_F(OwnSocketsTest, ExecClosesTheHiddenOneAlone) {
  hideFromChildren(hidden());
  EXPECT_NE(fcntl(hidden(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(fcntl(other(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(OwnSocketsTest, ForkedChildKeepsWhatTookTheNumberOfAHiddenSocket) {
  hideFromChildren(hidden());
  const int number = hidden();
  EXPECT_EQ(dup2(other(), number), number);
  EXPECT_TRUE(inChild([&] { return isOpen(number); }));
}

}  // namespace
}  // namespace signccl
