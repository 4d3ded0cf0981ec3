// SPDX-License-Identifier: Apache-2.0
// A warning where non-blocking calls cannot overlap with anything.
#include <functional>
#include <sched.h>
#include <string>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "base/environment.h"
#include "base/log.h"
#include "comm/comm_ranks.h"
#include "host/core_share.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using testing::HasSubstr;
using testing::Not;

class ProgressCoreTest : public EnvironmentTest {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "sanitizers do not allow threads in forked children";
  }

  /// What a process of its own, since a warning is given once in each, logs at WARN while `body` runs.
  std::string logOf(const std::function<void()>& body) {
    set("SIGNCCL_DEBUG", "WARN");
    set("SIGNCCL_DEBUG_FILE", path("log"));
    const pid_t child = fork();
    if (child == 0) {
      alarm(60);  // ends a child that hangs
      configureLogging(load());
      body();
      _exit(0);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    return read("log");
  }
};

void bindToOneCore() {
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  int core = 0;
  while (!CPU_ISSET(core, &all)) ++core;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
}

void callInBackground(Communicator& comm) {
  Call call({1, -1, 1});
  comm.wait(call.submit(comm, {}, /*in_background=*/true));
}

TEST_F(ProgressCoreTest, NonBlockingCallsOfARankWithOneCoreAreWarnedOfOnce) {
  const std::string log = logOf([] {
    bindToOneCore();
    for (int i = 0; i < 2; ++i) {
      CommRanks ranks(1);
      callInBackground(ranks[0]);
      callInBackground(ranks[0]);
    }
  });
  const std::string warning = "non-blocking calls gain little here";
  EXPECT_THAT(log, HasSubstr(warning));
  EXPECT_THAT(log, HasSubstr("1 rank(s) may use 1 core(s)"));
  EXPECT_THAT(log, HasSubstr("--bind-to none"));
  EXPECT_EQ(log.find(warning), log.rfind(warning));
}

TEST_F(ProgressCoreTest, BlockingCallsAndRanksWithTwoCoresAreNotWarnedOf) {
  const std::string blocking = logOf([] {
    bindToOneCore();
    CommRanks ranks(1);
    Call({1, -1, 1}).run(ranks[0]);
  });
  EXPECT_THAT(blocking, Not(HasSubstr("WARN")));
  if (usableCoreCount() < 2) GTEST_SKIP() << "one core";
  const std::string two_cores = logOf([] {
    CommRanks ranks(1);
    callInBackground(ranks[0]);
  });
  EXPECT_THAT(two_cores, Not(HasSubstr("WARN")));
}

}  // namespace
}  // namespace signccl
