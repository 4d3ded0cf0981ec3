// SPDX-License-Identifier: Apache-2.0
#include "base/fork.h"

#include <array>
#include <pthread.h>
#include <unistd.h>

namespace signccl {
namespace {

std::atomic<std::uint8_t> depth = 0;
std::array<std::atomic<int>, 256> processes{};

void noteChild() noexcept {
  const auto mine = static_cast<std::uint8_t>(depth.load(std::memory_order_relaxed) + 1);
  processes[mine].store(getpid(), std::memory_order_relaxed);
  depth.store(mine, std::memory_order_relaxed);
}

/// Runs when the library is loaded. If there is no memory for it, forks stay unnoticed.
[[maybe_unused]] const bool watches_forks = [] {
  processes[0].store(getpid(), std::memory_order_relaxed);
  return pthread_atfork(nullptr, nullptr, noteChild) == 0;
}();

}  // namespace

std::uint8_t forkDepth() noexcept { return depth.load(std::memory_order_relaxed); }

int processAtForkDepth(std::uint8_t at) noexcept { return processes[at].load(std::memory_order_relaxed); }

}  // namespace signccl
