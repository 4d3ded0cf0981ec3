// SPDX-License-Identifier: Apache-2.0
#include "base/brief_lock.h"

#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace signccl {
namespace {

TEST(BriefLockTest, OneThreadAtATimeHasIt) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 5000;
  BriefLock lock;
  int a = 0;
  int b = 0;
  int differences = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        const std::lock_guard held(lock);
        if (a != b) ++differences;
        ++a;
        if (round % 100 == 0) std::this_thread::yield();  // others meet it while it is held
        ++b;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(a, kThreads * kRounds);
  EXPECT_EQ(differences, 0);
}

}  // namespace
}  // namespace signccl
