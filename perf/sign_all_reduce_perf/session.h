// SPDX-License-Identifier: Apache-2.0
// What the ranks of a process have in common during a run of sign_all_reduce_perf, and how they tell each other
// figures.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_SESSION_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_SESSION_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sign_all_reduce_perf/buffers.h"
#include "sign_all_reduce_perf/host.h"
#include "sign_all_reduce_perf/rank_comm.h"
#include "sign_all_reduce_perf/rank_group.h"
#include "sign_all_reduce_perf/runner.h"

namespace signccl::perf {

/// What one rank tells all others, as it travels between processes.
struct Figures {
  double seconds = 0;
  std::uint64_t nwrong = 0;
  double sent_bytes = 0;
  std::uint64_t scratch_bytes = 0;
};

/// What one rank tells the others of its process; read by them after a barrier.
struct Share {
  std::unique_ptr<Buffers> buffers;  // lives until all ranks have ended
  Figures figures;
  std::string error;
};

struct Session {
  const Options& options;
  const std::vector<Sweep>& sweeps;
  const RunObserver& observer;
  const Host& host;  ///< of this process
  launch::JobComm& job;
  signcclUniqueId id;
  BufferSizes buffer_sizes;
  RankGroup group;
  std::vector<Share> shares;     ///< of the ranks of this process
  std::vector<Figures> figures;  ///< [rank] of all processes

  /// A barrier of the ranks of all processes.
  void barrierOfAll() {
    group.barrier([this] { job.barrier(); });
  }

  /// The same; then `figures` are those of all ranks.
  void shareFigures() {
    group.barrier([this] { gatherFigures(); });
  }

 private:
  void gatherFigures() {
    std::vector<Figures> mine;
    for (const Share& share : shares) mine.push_back(share.figures);
    figures = job.allGather(std::span<const Figures>(mine));
  }
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_SESSION_H_
