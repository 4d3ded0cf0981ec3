#include "control/control_thread.h"

#include <mutex>
#include <optional>
#include <thread>
#include <unistd.h>

#include <asio/executor_work_guard.hpp>

#include "base/log.h"

namespace signccl {
namespace {

struct ControlThread {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
  std::thread thread{[this] { run(); }};
  pid_t process = getpid();

  void run() {
    while (true) {
      try {
        context.run();
        return;
      } catch (const std::exception& error) {
        // Handlers catch what belongs to their group; what gets here must not stop the others.
        log(LogLevel::kWarn, Subsystem::kBootstrap, kNoRank, "control thread: ", error.what());
      }
    }
  }
};

}  // namespace

asio::io_context& controlContext() {
  static std::mutex mutex;
  // Leaked on purpose: the thread would outlive it at the end of the process, or after a fork not exist.
  static ControlThread* instance = nullptr;
  const std::lock_guard lock(mutex);
  if (instance == nullptr || instance->process != getpid()) instance = new ControlThread;
  return instance->context;
}

}  // namespace signccl
