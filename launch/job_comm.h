// SPDX-License-Identifier: Apache-2.0
// The processes of a job tell each other small things: who they are, unique ids, times, counts.
#ifndef SIGNCCL_LAUNCH_JOB_COMM_H_
#define SIGNCCL_LAUNCH_JOB_COMM_H_

#include <span>
#include <type_traits>
#include <vector>

#include "launch/launcher.h"
#include "signccl/signccl.h"

namespace signccl::launch {

/// A communicator with one rank for each process of the job: rank and process are the same number. All processes make
/// the same calls in the same order, one thread at a time. Calls throw LaunchError if a process fails, leaves or is too
/// late (SIGNCCL_TIMEOUT); its text names that process, and nothing works from then on.
class JobComm {
 public:
  /// Of a single process, with itself.
  JobComm() = default;
  /// Returns when all processes have joined. Process 0 made `id`, or SIGNCCL_COMM_ID says where they meet.
  JobComm(const Place& place, const signcclUniqueId& id);
  ~JobComm();
  JobComm(const JobComm&) = delete;
  JobComm& operator=(const JobComm&) = delete;

  [[nodiscard]] int process() const { return process_; }
  [[nodiscard]] int nprocesses() const { return nprocesses_; }
  /// Whether this is the process that reports.
  [[nodiscard]] bool isFirst() const { return process_ == 0; }

  /// Gives all processes the values of all, [process][mine.size()]; every process gives as many. For small data, as
  /// signcclCommAllGather().
  template <typename T>
  std::vector<T> allGather(std::span<const T> mine) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::vector<T> all(mine.size() * static_cast<std::size_t>(nprocesses_));
    gather(mine.data(), all.data(), mine.size_bytes());
    return all;
  }
  /// The same for one value of each process, [process].
  template <typename T>
  std::vector<T> allGather(const T& mine) {
    return allGather(std::span<const T>(&mine, 1));
  }

  /// Returns once all processes have called it.
  void barrier() { gather(nullptr, nullptr, 0); }

  /// A unique id that process 0 makes, for a communicator with ranks in all processes.
  signcclUniqueId shareUniqueId();

  /// Lets the other processes fail, with the number of this one, instead of waiting for it. Any thread.
  void abort() noexcept;

 private:
  void gather(const void* mine, void* all, std::size_t bytes);

  int process_ = 0;
  int nprocesses_ = 1;
  signcclComm_t comm_ = nullptr;  ///< null for a single process
};

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_JOB_COMM_H_
