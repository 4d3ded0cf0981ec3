// SPDX-License-Identifier: Apache-2.0
// A forked child can log and make communicators of its own, whatever the threads of its parent were doing.
#include <atomic>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "base/environment.h"
#include "base/log.h"
#include "comm/comm_ranks.h"
#include "comm/join.h"
#include "control/eventually.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;

/// Whether a vote of a single rank, which joins a group of its own, gives what it gave.
bool canVoteAlone() {
  JoinOptions options;
  options.point = openHub({})->meetingPoint();
  options.nranks = 1;
  Communicator comm(Joining(options).finish(in(30s)), testOptions());
  Call call({1, -1, 1});
  call.run(comm);
  return call.result() == std::vector<std::int8_t>{1, -1, 1};
}

class ForkTest : public EnvironmentTest {
 protected:
  ForkTest() {
    set("SIGNCCL_DEBUG", "TRACE");
    set("SIGNCCL_DEBUG_SUBSYS", "ALL");
    set("SIGNCCL_DEBUG_FILE", path("log"));
    configureLogging(load());
  }
  ~ForkTest() override {
    unset("SIGNCCL_DEBUG");
    unset("SIGNCCL_DEBUG_SUBSYS");
    unset("SIGNCCL_DEBUG_FILE");
    configureLogging(load());
  }
  ForkTest(const ForkTest&) = delete;
  ForkTest& operator=(const ForkTest&) = delete;
};

TEST_F(ForkTest, ChildLogsAndVotesWhileThreadsOfItsParentDoTheSame) {
  if (kForkedChildrenMayHang) GTEST_SKIP() << kWhyForkedChildrenMayHang;
  std::atomic<bool> stop = false;
  std::vector<std::jthread> busy;
  for (int i = 0; i < 2; ++i) {
    busy.emplace_back([&] {
      while (!stop) log(LogLevel::kWarn, Subsystem::kInit, kNoRank, "the parent is busy");
    });
  }
  busy.emplace_back([&] {
    while (!stop) EXPECT_TRUE(canVoteAlone());
  });
  for (int i = 0; i < 30 && !stop; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(60);  // ends a child that hangs
      log(LogLevel::kWarn, Subsystem::kInit, kNoRank, "a child is there");
      _exit(canVoteAlone() ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "fork " << i;
    stop = status != 0;
  }
  stop = true;
}

}  // namespace
}  // namespace signccl
