// SPDX-License-Identifier: Apache-2.0
// Threads that help a rank with its kernels.
#ifndef SIGNCCL_EXEC_WORKER_POOL_H_
#define SIGNCCL_EXEC_WORKER_POOL_H_

#include <cstddef>
#include <memory>

namespace signccl {

/// A piece of work for a pool. Owned by the poster, who keeps it alive until run() has returned.
class PoolTask {
 public:
  virtual ~PoolTask() = default;
  virtual void run() noexcept = 0;

 private:
  friend class WorkerPool;
  friend struct TaskHandler;
  /// Where the queue keeps its node for this task, so that posting allocates nothing.
  static constexpr std::size_t kNodeBytes = 192;
  alignas(std::max_align_t) std::byte node_[kNodeBytes];
};

class WorkerPool {
 public:
  /// Starts `nworkers` >= 0 threads. Throws signcclSystemError if it cannot start them all.
  explicit WorkerPool(int nworkers);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Queues a task for any thread of the pool or a caller of runOne(). The task must not be queued already.
  void post(PoolTask& task);

  /// Runs one queued task in the calling thread; false if there is none.
  bool runOne();

  [[nodiscard]] int nworkers() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace signccl

#endif  // SIGNCCL_EXEC_WORKER_POOL_H_
