// SPDX-License-Identifier: Apache-2.0
#include "exec/worker_pool.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/error.h"
#include "support/allocation_counter.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

/// Counts its runs and remembers its last thread.
class CountingTask final : public PoolTask {
 public:
  void run() noexcept override {
    const std::lock_guard lock(mutex_);
    ++runs_;
    thread_ = std::this_thread::get_id();
    changed_.notify_all();
  }

  void awaitRuns(int runs) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return runs_ >= runs; });
  }

  int runs() {
    const std::lock_guard lock(mutex_);
    return runs_;
  }

  std::thread::id thread() {
    const std::lock_guard lock(mutex_);
    return thread_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int runs_ = 0;
  std::thread::id thread_;
};

TEST(WorkerPoolTest, PostedTaskRunsOnceInAThreadOfThePool) {
  CountingTask task;
  WorkerPool pool(2);
  pool.post(task);
  task.awaitRuns(1);
  EXPECT_NE(task.thread(), std::this_thread::get_id());
  EXPECT_FALSE(pool.runOne());
  EXPECT_EQ(task.runs(), 1);
}

TEST(WorkerPoolTest, PoolWithoutThreadsRunsTasksOnlyWhereItIsAsked) {
  CountingTask first;
  CountingTask second;
  WorkerPool pool(0);
  EXPECT_EQ(pool.nworkers(), 0);
  EXPECT_FALSE(pool.runOne());
  pool.post(first);
  pool.post(second);
  EXPECT_EQ(first.runs(), 0);
  EXPECT_TRUE(pool.runOne());
  EXPECT_TRUE(pool.runOne());
  EXPECT_FALSE(pool.runOne());
  EXPECT_EQ(first.runs(), 1);
  EXPECT_EQ(second.runs(), 1);
  EXPECT_EQ(first.thread(), std::this_thread::get_id());
}

TEST(WorkerPoolTest, TasksPostedByManyThreadsAllRun) {
  constexpr int kPosters = 4;
  constexpr int kRounds = 500;
  std::vector<CountingTask> tasks(kPosters);
  WorkerPool pool(3);
  std::vector<std::jthread> posters;
  for (CountingTask& task : tasks) {
    posters.emplace_back([&pool, &task] {
      for (int round = 1; round <= kRounds; ++round) {
        pool.post(task);
        if (round % 3 == 0) pool.runOne();
        task.awaitRuns(round);
      }
    });
  }
  posters.clear();
  for (CountingTask& task : tasks) EXPECT_EQ(task.runs(), kRounds);
}

/// Posts the next task of a chain from within the pool.
class ChainedTask final : public PoolTask {
 public:
  ChainedTask(WorkerPool& pool, std::atomic<int>& left) : pool_(pool), left_(left) {}

  void run() noexcept override {
    if (--left_ > 0) {
      pool_.post(*this);
    } else {
      left_.notify_all();
    }
  }

 private:
  WorkerPool& pool_;
  std::atomic<int>& left_;
};

TEST(WorkerPoolTest, TaskMayPostItselfAgain) {
  std::atomic<int> left = 1000;
  WorkerPool pool(2);
  ChainedTask task(pool, left);
  pool.post(task);
  for (int seen = left; seen > 0; seen = left) left.wait(seen);
}

TEST(WorkerPoolTest, PostingAllocatesNothing) {
  if (kSanitized) GTEST_SKIP() << "sanitizers allocate";
  std::vector<CountingTask> tasks(8);
  WorkerPool pool(2);
  for (int round = 1; round <= 100; ++round) {
    const std::size_t before = allocationCount();
    for (CountingTask& task : tasks) pool.post(task);
    pool.runOne();
    for (CountingTask& task : tasks) task.awaitRuns(round);
    // The first rounds may make what each thread keeps.
    if (round > 10) {
      ASSERT_EQ(allocationCount(), before);
    }
  }
}

TEST(WorkerPoolTest, ThreadThatCannotBeStartedIsAnErrorAndNoHang) {
  if (kSanitized) GTEST_SKIP() << "sanitizers need the memory that the test takes away";
  const auto start_many = [] {
    const rlimit little{std::size_t{1} << 28, std::size_t{1} << 28};
    setrlimit(RLIMIT_AS, &little);
    try {
      const WorkerPool pool(1000);
    } catch (const Error& error) {
      if (error.code() == signcclSystemError) std::_Exit(7);
    }
    std::_Exit(0);
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(start_many(), ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace signccl
