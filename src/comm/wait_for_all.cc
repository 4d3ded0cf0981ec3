// SPDX-License-Identifier: Apache-2.0
#include "comm/wait_for_all.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace signccl {
namespace {

/// Rounds over all ranks without any progress before the thread sleeps between rounds.
constexpr int kRoundsBeforeSleep = 2000;
constexpr std::chrono::microseconds kSleep{50};

void finish(Wait& wait) noexcept {
  try {
    wait.notes = wait.comm->wait(*wait.operation);
  } catch (...) {
    wait.error = std::current_exception();
  }
  wait.operation = nullptr;
}

/// True if anything moved.
bool moveOn(Wait& wait) noexcept {
  if (wait.operation == nullptr) return false;
  const bool moved = wait.comm->step();
  if (!wait.operation->done.load(std::memory_order_acquire)) return moved;
  finish(wait);
  return true;
}

}  // namespace

void waitForAll(std::span<Wait> waits) noexcept {
  if (waits.size() == 1) return finish(waits.front());
  const auto is_open = [](const Wait& wait) { return wait.operation != nullptr; };
  for (int idle_rounds = 0; std::ranges::any_of(waits, is_open);) {
    bool moved = false;
    for (Wait& wait : waits) moved = moveOn(wait) || moved;
    if (moved) {
      idle_rounds = 0;
    } else if (++idle_rounds < kRoundsBeforeSleep) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kSleep);
    }
  }
}

}  // namespace signccl
