// SPDX-License-Identifier: Apache-2.0
// A hardware queue: a thread that carries out tasks of several streams, one after the other.
#ifndef SIGNCCL_TESTS_FAKE_CUDA_QUEUE_H_
#define SIGNCCL_TESTS_FAKE_CUDA_QUEUE_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace fake_cuda {

/// Whether a task is done, or was dropped. Any thread.
class Completion {
 public:
  void set() noexcept { done_.store(true, std::memory_order_release); }
  [[nodiscard]] bool isDone() const noexcept { return done_.load(std::memory_order_acquire); }

  /// Ends the program, saying who waits, if that takes a minute.
  void wait(const char* who) const;

 private:
  std::atomic<bool> done_{false};
};

/// What a task does. It looks at `is_cancelled` where it waits.
using Body = std::function<void(const std::function<bool()>& is_cancelled)>;

struct Task {
  std::vector<std::shared_ptr<Completion>> after;  ///< of earlier tasks, that must be done
  std::function<bool()> is_cancelled;              ///< whether what it belongs to is dead
  Body body;
  std::shared_ptr<Completion> done;
};

class Queue {
 public:
  /// `seed` of random delays before tasks; 0: none.
  explicit Queue(std::uint64_t seed) : random_(seed), has_delays_(seed != 0), thread_([this] { run(); }) {}

  /// Drops what is not done, and ends the task under way if it waits.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  void push(Task task);

 private:
  void run();
  void carryOut(Task& task);

  std::mutex mutex_;
  std::condition_variable pushed_;
  std::deque<Task> tasks_;
  std::atomic<bool> is_stopping_{false};
  std::mt19937_64 random_;
  bool has_delays_;
  std::thread thread_;
};

/// Marks this thread as one that runs what must not call the driver: a kernel, a host function, a destructor.
class TaskScope {
 public:
  TaskScope() noexcept;
  ~TaskScope();
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;
};

/// Whether this thread is in such a scope.
bool isInTask() noexcept;

}  // namespace fake_cuda

#endif  // SIGNCCL_TESTS_FAKE_CUDA_QUEUE_H_
