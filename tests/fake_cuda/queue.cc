// SPDX-License-Identifier: Apache-2.0
#include "fake_cuda/queue.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace fake_cuda {
namespace {

thread_local bool is_in_task = false;

}  // namespace

TaskScope::TaskScope() noexcept { is_in_task = true; }

TaskScope::~TaskScope() { is_in_task = false; }

bool isInTask() noexcept { return is_in_task; }

void Completion::wait(const char* who) const {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  for (int turns = 0; !isDone(); ++turns) {
    if (turns < 100) {
      std::this_thread::yield();
      continue;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    if (std::chrono::steady_clock::now() > limit) {
      std::fprintf(stderr, "fake CUDA: %s waits for a stream that has not gone on for a minute\n", who);
      std::abort();
    }
  }
}

Queue::~Queue() {
  is_stopping_.store(true, std::memory_order_release);
  {
    const std::lock_guard lock(mutex_);
    pushed_.notify_all();
  }
  thread_.join();
}

void Queue::push(Task task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  pushed_.notify_one();
}

void Queue::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    pushed_.wait(lock, [&] { return !tasks_.empty() || is_stopping_.load(std::memory_order_acquire); });
    if (tasks_.empty()) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    carryOut(task);
    // What the task held goes before others hear that it is done.
    const std::shared_ptr<Completion> done = std::move(task.done);
    task = {};
    done->set();
    lock.lock();
  }
}

void Queue::carryOut(Task& task) {
  const auto is_cancelled = [&] { return is_stopping_.load(std::memory_order_acquire) || task.is_cancelled(); };
  for (const std::shared_ptr<Completion>& before : task.after) {
    while (!before->isDone() && !is_stopping_.load(std::memory_order_acquire)) {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }
  if (has_delays_ && random_() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random_() % 200));
  if (is_cancelled()) return;
  const TaskScope scope;
  task.body(is_cancelled);
}

}  // namespace fake_cuda
