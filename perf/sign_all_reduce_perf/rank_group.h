// SPDX-License-Identifier: Apache-2.0
// A barrier of the ranks that a failed rank can break, so that no rank waits for one that is gone.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_RANK_GROUP_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_RANK_GROUP_H_

#include <atomic>
#include <stdexcept>
#include <thread>

namespace signccl::perf {

/// Thrown on the ranks that wait for, or later come to, a broken barrier.
class GroupBroken : public std::runtime_error {
 public:
  GroupBroken() : std::runtime_error("stopped because another rank failed") {}
};

class RankGroup {
 public:
  explicit RankGroup(int nranks) : nranks_(nranks) {}

  /// Returns once all ranks have called it. What a rank wrote before is visible to all of them after.
  void barrier() {
    barrier([] {});
  }

  /// The same; the last rank to come calls `last()` before any returns. If that throws, this rank gets the exception,
  /// and the others wait for abort().
  template <typename Last>
  void barrier(const Last& last) {
    const unsigned round = round_.load();
    if (broken_.load()) throw GroupBroken();
    if (arrived_.fetch_add(1) + 1 == nranks_) {
      arrived_.store(0);
      last();
      round_.fetch_add(1);
      round_.notify_all();
    } else {
      await(round);
    }
    if (broken_.load()) throw GroupBroken();
  }

  /// Breaks the barrier for good. Any thread.
  void abort() {
    broken_.store(true);
    round_.fetch_add(1);
    round_.notify_all();
  }

 private:
  // A rank that sleeps starts late, which the first timed iterations would show; so it spins for a while.
  void await(unsigned round) const {
    for (int spin = 0; spin < 10000; ++spin) {
      if (round_.load() != round) return;
      std::this_thread::yield();
    }
    round_.wait(round);
  }

  const int nranks_;
  std::atomic<int> arrived_ = 0;
  std::atomic<unsigned> round_ = 0;
  std::atomic<bool> broken_ = false;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_RANK_GROUP_H_
