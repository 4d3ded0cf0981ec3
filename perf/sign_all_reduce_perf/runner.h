// SPDX-License-Identifier: Apache-2.0
// Runs the ranks of this process: every rank is a thread that times and checks each case; rank 0 reports the rows.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_RUNNER_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_RUNNER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "launch/job_comm.h"
#include "sign_all_reduce_perf/host.h"
#include "sign_all_reduce_perf/options.h"
#include "sign_all_reduce_perf/plan.h"

namespace signccl::perf {

/// One placement of one case. Times are of one call, over the ranks as the option -a says.
struct Measurement {
  double time_us = 0;
  double algbw = 0;                     ///< size / time, 1e9 bytes per second
  double busbw = 0;                     ///< algbw * 2 (n - 1) / n, as nccl-tests defines it for all_reduce
  double wirebw = 0;                    ///< Row::sent_bytes / time, 1e9 bytes per second
  std::optional<std::uint64_t> nwrong;  ///< over all ranks and checked calls; empty: not checked
};

struct Row {
  Case c;
  std::size_t size_bytes = 0;
  Measurement out_of_place;
  std::optional<Measurement> in_place;  ///< nothing for sums
  double sent_bytes = 0;                ///< of one call, by the rank that sends most, as the transport counts
  double bits_per_element = 0;          ///< 8 * sent_bytes / count
  std::string algorithm;
  int iterations = 0;
  std::string timestamp;
};

/// What is known once all ranks have joined.
struct RunInfo {
  int library_version = 0;
  std::string kernels;
};

/// Called by rank 0, in its thread.
struct RunObserver {
  std::function<void(const RunInfo&)> started;
  std::function<void(const Row&)> row;
  std::function<void(const std::string& phase)> phase;  ///< what begins now; never during timed iterations
};

struct RunResult {
  std::vector<std::string> errors;  ///< "rank 2: ..." for each rank of this process that failed
  std::uint64_t scratch_bytes = 0;  ///< most that a rank holds for exchanges at the end
};

/// Runs all sweeps, options.run_cycles times. Every process of `job` calls it with its own `host`. Never throws for a
/// rank that failed: the others are stopped, and the errors of all are returned in their processes.
RunResult runRanks(const Options& options, const std::vector<Sweep>& sweeps, const RunObserver& observer,
                   const Host& host, launch::JobComm& job);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_RUNNER_H_
