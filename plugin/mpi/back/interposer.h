// SPDX-License-Identifier: Apache-2.0
// Decides for each MPI_Allreduce() of the program whether it is forwarded or taken over.
#ifndef SIGNCCL_PLUGIN_MPI_BACK_INTERPOSER_H_
#define SIGNCCL_PLUGIN_MPI_BACK_INTERPOSER_H_

#include <atomic>
#include <cstdint>
#include <mpi.h>
#include <optional>
#include <string>

#include "mpi/back/element_types.h"
#include "mpi/back/mirrors.h"
#include "mpi/back/next_calls.h"
#include "mpi/back/take_over.h"
#include "rules/log.h"
#include "rules/report.h"
#include "rules/settings.h"

namespace signccl::mpi {

/// The arguments of MPI_Allreduce().
struct AllReduce {
  const void* send = nullptr;
  void* recv = nullptr;
  std::int64_t count = 0;
  MPI_Datatype type{};
  MPI_Op op{};
  MPI_Comm comm{};
};

/// One for a process, from MPI_Init() to MPI_Finalize(). Calls on different communicators may come from several threads
/// at once.
class Interposer {
 public:
  /// `log` must outlive it.
  Interposer(rules::Settings settings, const rules::Log& log, NextCalls next);

  /// Lets all ranks compare their rules; ends the job where they differ.
  void compareRules() const;

  /// The result of the call; nothing if it is to be forwarded.
  std::optional<int> allReduce(const AllReduce& call) {
    if (call.count < smallest_count_ || call.op != MPI_SUM) return isDry() ? countUnmatched(call) : std::nullopt;
    return match(call);
  }

  /// Ends all mirrors and reports. Calls are forwarded from now on. For the beginning of MPI_Finalize().
  void finish();

 private:
  [[nodiscard]] bool isDry() const { return settings_.mode == rules::Mode::kDry; }
  /// A dry run says of how many calls what is in the way. Returns nothing.
  std::optional<int> countUnmatched(const AllReduce& call);
  std::optional<int> match(const AllReduce& call);
  [[nodiscard]] std::string whyForwarded(const MatchedCall& matched, const rules::Call& call) const;
  std::optional<int> attachAndTake(Mirror& mirror, const MatchedCall& call);
  std::optional<int> take(Mirror& mirror, const MatchedCall& call);
  void reportTaken(Mirror& mirror, const MatchedCall& call, std::uint64_t time_ns);

  rules::Settings settings_;
  rules::Report report_;
  NextCalls next_;
  ElementTypes types_;
  Mirrors mirrors_;
  std::int64_t smallest_count_;
  std::atomic<bool> is_finished_ = false;
  std::atomic<bool> has_warned_ = false;  ///< of ranks that cannot join
};

}  // namespace signccl::mpi

#endif  // SIGNCCL_PLUGIN_MPI_BACK_INTERPOSER_H_
