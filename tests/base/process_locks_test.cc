// SPDX-License-Identifier: Apache-2.0
#include "base/process_locks.h"

#include <future>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace signccl {
namespace {

TEST(ProcessLocksTest, LockThatAnotherThreadHoldsIsFreeInAForkedChild) {
  for (const ProcessLock lock : {ProcessLock::kControlThread, ProcessLock::kLog}) {
    std::promise<void> held;
    std::jthread holder([&](const std::stop_token& stop) {
      bool is_first = true;
      while (!stop.stop_requested()) {
        {
          const std::lock_guard guard(processMutex(lock));
          if (std::exchange(is_first, false)) held.set_value();
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // lets the fork have the lock
      }
    });
    held.get_future().wait();
    const pid_t child = fork();
    if (child == 0) _exit(processMutex(lock).try_lock() ? 0 : 1);
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
}

}  // namespace
}  // namespace signccl
