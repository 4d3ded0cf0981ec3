// SPDX-License-Identifier: Apache-2.0
#include "base/exit_gate.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <shared_mutex>
#include <thread>

#include "base/fork.h"

namespace signccl {
namespace {

struct Gate {
  std::atomic<bool> is_closed = false;  ///< said before the mutex is asked for, which those who pass could keep busy
  std::shared_mutex mutex;
};

constinit PerProcess<Gate> gates;

/// The mutex is never given back.
void closeGate() {
  Gate& gate = gates.get();
  gate.is_closed.store(true, std::memory_order_release);
  gate.mutex.lock();
}

[[noreturn]] void sleepForGood() {
  while (true) std::this_thread::sleep_for(std::chrono::hours(1));
}

}  // namespace

void ExitGate::open() {
  static const int registered = std::atexit(closeGate);
  static_cast<void>(registered);
  gates.get();  // so that a pass allocates nothing
}

bool ExitGate::isClosed() { return gates.get().is_closed.load(std::memory_order_acquire); }

ExitGate::Pass::Pass() noexcept {
  Gate& gate = gates.get();
  if (gate.is_closed.load(std::memory_order_acquire)) sleepForGood();
  gate.mutex.lock_shared();
  if (!gate.is_closed.load(std::memory_order_acquire)) return;
  gate.mutex.unlock_shared();
  sleepForGood();
}

ExitGate::Pass::~Pass() { gates.get().mutex.unlock_shared(); }

}  // namespace signccl
