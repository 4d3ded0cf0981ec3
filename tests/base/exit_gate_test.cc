// SPDX-License-Identifier: Apache-2.0
#include "base/exit_gate.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include <gtest/gtest.h>

namespace signccl {
namespace {

/// Memory that the end of the program takes away.
struct Memory {
  std::atomic<bool> is_there = true;
  ~Memory() { is_there = false; }
};
Memory memory;

/// Threads touch the memory, for a while each time, until the program ends; one that comes too late ends it otherwise.
[[noreturn]] void exitAmidPasses() {
  ExitGate::open();
  ExitGate::open();
  std::atomic<int> npasses = 0;
  for (int i = 0; i < 4; ++i) {
    std::thread([&npasses] {
      while (true) {
        const ExitGate::Pass pass;
        ++npasses;
        for (int look = 0; look < 100; ++look) {
          if (!memory.is_there) std::_Exit(3);
          std::this_thread::yield();
        }
      }
    }).detach();
  }
  while (npasses < 20) std::this_thread::yield();
  std::exit(0);
}

TEST(ExitGateTest, NobodyPassesOnceTheProgramEnds) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(exitAmidPasses(), ::testing::ExitedWithCode(0), "");
}

TEST(ExitGateTest, PassesOfSeveralThreadsAreHeldAtOnce) {
  ExitGate::open();
  const ExitGate::Pass mine;
  std::thread([] { const ExitGate::Pass other; }).join();
}

}  // namespace
}  // namespace signccl
