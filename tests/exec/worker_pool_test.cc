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
class CountingJob final : public Job {
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

TEST(WorkerPoolTest, PostedJobRunsOnceInAThreadOfThePool) {
  CountingJob job;
  WorkerPool pool(2);
  pool.post(job);
  job.awaitRuns(1);
  EXPECT_NE(job.thread(), std::this_thread::get_id());
  EXPECT_FALSE(pool.runOne());
  EXPECT_EQ(job.runs(), 1);
}

TEST(WorkerPoolTest, PoolWithoutThreadsRunsJobsOnlyWhereItIsAsked) {
  CountingJob first;
  CountingJob second;
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

TEST(WorkerPoolTest, JobsPostedByManyThreadsAllRun) {
  constexpr int kPosters = 4;
  constexpr int kRounds = 500;
  std::vector<CountingJob> jobs(kPosters);
  WorkerPool pool(3);
  std::vector<std::jthread> posters;
  for (CountingJob& job : jobs) {
    posters.emplace_back([&pool, &job] {
      for (int round = 1; round <= kRounds; ++round) {
        pool.post(job);
        if (round % 3 == 0) pool.runOne();
        job.awaitRuns(round);
      }
    });
  }
  posters.clear();
  for (CountingJob& job : jobs) EXPECT_EQ(job.runs(), kRounds);
}

/// Posts the next job of a chain from within the pool.
class ChainedJob final : public Job {
 public:
  ChainedJob(WorkerPool& pool, std::atomic<int>& left) : pool_(pool), left_(left) {}

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

TEST(WorkerPoolTest, JobMayPostItselfAgain) {
  std::atomic<int> left = 1000;
  WorkerPool pool(2);
  ChainedJob job(pool, left);
  pool.post(job);
  for (int seen = left; seen > 0; seen = left) left.wait(seen);
}

TEST(WorkerPoolTest, PostingAllocatesNothing) {
  if (kSanitized) GTEST_SKIP() << "sanitizers allocate";
  std::vector<CountingJob> jobs(8);
  WorkerPool pool(2);
  for (int round = 1; round <= 100; ++round) {
    const std::size_t before = allocationCount();
    for (CountingJob& job : jobs) pool.post(job);
    pool.runOne();
    for (CountingJob& job : jobs) job.awaitRuns(round);
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
