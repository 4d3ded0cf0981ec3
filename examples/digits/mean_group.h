// SPDX-License-Identifier: Apache-2.0
// The baselines' exchange: the exact fp32 mean of the workers' gradients, through shared memory within a process and
// by an all-gather between processes.
#ifndef DIGITS_MEAN_GROUP_H_
#define DIGITS_MEAN_GROUP_H_

#include <barrier>
#include <cstddef>
#include <span>
#include <vector>

#include "launch/job_comm.h"

namespace digits {

namespace launch = signccl::launch;

/// Shared by the threads of one process in one run.
class MeanGroup {
 public:
  /// Each process of `job`, which must outlive the group, has `nlocal` workers.
  MeanGroup(int nlocal, std::size_t count, launch::JobComm& job);

  /// Replaces `values` ([count]) by their mean over the workers, summed in rank order: the same bits on every worker,
  /// however the workers are spread over processes. Each worker calls it once per step and waits for the others.
  void average(int rank, std::span<float> values);

  /// Lets the other workers go on without this one, which has failed.
  void leave() noexcept;

 private:
  /// Writes elements begin to end - 1 of the mean of `inputs`, [rank][count].
  void averageOf(std::span<const float> inputs, std::size_t begin, std::size_t end);

  launch::JobComm& job_;
  std::vector<float> inputs_;  ///< [nlocal][count]
  std::vector<float> mean_;    ///< [count]
  std::barrier<> barrier_;
};

/// Bytes each of `nranks` workers sends when a ring all-reduce sums `count` fp32 numbers: 2 (nranks - 1) / nranks of
/// them.
double fp32RingBytes(int nranks, std::size_t count);

}  // namespace digits

#endif  // DIGITS_MEAN_GROUP_H_
