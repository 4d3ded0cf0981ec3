// SPDX-License-Identifier: Apache-2.0
#include "base/brief_lock.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace signccl {
namespace {

/// Threads that change two numbers together, each in sections of guarded(section).
template <typename Guarded>
void expectOneThreadAtATime(const Guarded& guarded) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 5000;
  int a = 0;
  int b = 0;
  int differences = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        guarded([&] {
          if (a != b) ++differences;
          ++a;
          if (round % 100 == 0) std::this_thread::yield();  // others meet it while it is held
          ++b;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(a, kThreads * kRounds);
  EXPECT_EQ(differences, 0);
}

TEST(BriefLockTest, OneThreadAtATimeHasIt) {
  BriefLock lock;
  expectOneThreadAtATime([&](const auto& section) {
    const std::lock_guard held(lock);
    section();
  });
}

TEST(LockSoonTest, OneThreadAtATimeHasTheMutex) {
  std::mutex mutex;
  expectOneThreadAtATime([&](const auto& section) {
    const auto held = lockSoon(mutex);
    section();
  });
}

TEST(LockSoonTest, AMutexThatIsHeldForLongIsWaitedFor) {
  std::mutex mutex;
  std::unique_lock held(mutex);
  std::atomic<bool> is_over = false;
  std::thread other([&] {
    const auto lock = lockSoon(mutex);
    EXPECT_TRUE(is_over);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  is_over = true;
  held.unlock();
  other.join();
}

}  // namespace
}  // namespace signccl
