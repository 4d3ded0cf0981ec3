// SPDX-License-Identifier: Apache-2.0
#include "exec/worker_pool.h"

#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/error.h"

namespace signccl {

/// What Asio queues for a task; its associated allocator hands out the room inside the task.
struct TaskHandler {
  template <typename T>
  struct Allocator {
    using value_type = T;

    explicit Allocator(PoolTask* owner) noexcept : task(owner) {}
    template <typename U>
    explicit(false) Allocator(const Allocator<U>& other) noexcept : task(other.task) {}

    T* allocate(std::size_t n) {
      static_assert(alignof(T) <= alignof(std::max_align_t));
      SIGNCCL_ASSERT(n * sizeof(T) <= PoolTask::kNodeBytes);
      return reinterpret_cast<T*>(task->node_);
    }
    void deallocate(T*, std::size_t) noexcept {}

    template <typename U>
    bool operator==(const Allocator<U>& other) const noexcept {
      return task == other.task;
    }

    PoolTask* task;
  };

  using allocator_type = Allocator<void*>;
  [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(task); }

  void operator()() const { task->run(); }

  PoolTask* task;
};

struct WorkerPool::Impl {
  /// Also runs where a thread cannot be started: those before it would wait for work forever.
  ~Impl() { queue.stop(); }

  asio::io_context queue;
  asio::executor_work_guard<asio::io_context::executor_type> open{queue.get_executor()};
  std::vector<std::jthread> threads;
};

WorkerPool::WorkerPool(int nworkers) : impl_(std::make_unique<Impl>()) {
  try {
    for (int i = 0; i < nworkers; ++i) impl_->threads.emplace_back([queue = &impl_->queue] { queue->run(); });
  } catch (const std::system_error& error) {
    throw Error(signcclSystemError, "cannot start " + std::to_string(nworkers) + " threads for kernels, only " +
                                        std::to_string(impl_->threads.size()) + ": " + error.what());
  }
}

WorkerPool::~WorkerPool() = default;

void WorkerPool::post(PoolTask& task) { asio::post(impl_->queue, TaskHandler{&task}); }

bool WorkerPool::runOne() { return impl_->queue.poll_one() != 0; }

int WorkerPool::nworkers() const { return static_cast<int>(impl_->threads.size()); }

}  // namespace signccl
