// SPDX-License-Identifier: Apache-2.0
#include "control/control_thread.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <utility>

#include <asio/error.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>

#include "base/log.h"
#include "base/process_locks.h"

namespace signccl {
namespace {

/// How long the end of the process waits for the thread, which no handler of ours keeps busy for so long.
constexpr std::chrono::seconds kEndTime{1};

class ControlThread {
 public:
  [[nodiscard]] asio::io_context& context() { return context_; }
  [[nodiscard]] bool isOfThisProcess() const { return process_ == getpid(); }

  /// Ends the thread once it has run what is posted so far. Throws std::bad_alloc.
  void stop() {
    asio::post(context_, [this] { context_.stop(); });
    if (ended_.get_future().wait_for(kEndTime) == std::future_status::ready) thread_.join();
  }

 private:
  void run() {
    while (true) {
      try {
        context_.run();
        return ended_.set_value();
      } catch (const std::exception& error) {
        // Handlers catch what belongs to their group; what gets here must not stop the others.
        log(LogLevel::kWarn, Subsystem::kBootstrap, kNoRank, "control thread: ", error.what());
      }
    }
  }

  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(context_);
  std::promise<void> ended_;
  pid_t process_ = getpid();
  std::thread thread_{[this] { run(); }};
};

// Guarded by ProcessLock::kControlThread. Leaked on purpose: groups that outlive main() still post to its context, and
// after a fork there is no thread to join.
constinit ControlThread* instance = nullptr;
constinit bool is_stop_arranged = false;
constinit std::atomic<bool> has_ended = false;

void stopAtExit() {
  try {
    has_ended.store(true);
    const std::lock_guard lock(processMutex(ProcessLock::kControlThread));
    if (instance != nullptr && instance->isOfThisProcess()) instance->stop();
  } catch (const std::exception& error) {
    log(LogLevel::kWarn, Subsystem::kBootstrap, kNoRank, "the control thread was not stopped: ", error.what());
  }
}

/// Has the thread stop before what it uses is destroyed: objects of static life go in the reverse order of their
/// making.
void arrangeStopAtExit() {
  asio::error::get_system_category();
  asio::error::get_netdb_category();
  asio::error::get_addrinfo_category();
  asio::error::get_misc_category();
  if (std::atexit(stopAtExit) != 0) {
    log(LogLevel::kWarn, Subsystem::kBootstrap, kNoRank, "the control thread will not be stopped at exit");
  }
}

}  // namespace

asio::io_context& controlContext() {
  const std::lock_guard lock(processMutex(ProcessLock::kControlThread));
  if (!std::exchange(is_stop_arranged, true)) arrangeStopAtExit();
  if (instance == nullptr || !instance->isOfThisProcess()) instance = new ControlThread;
  return instance->context();
}

bool controlThreadHasEnded() noexcept { return has_ended.load(std::memory_order_relaxed); }

}  // namespace signccl
