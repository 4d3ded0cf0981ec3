// SPDX-License-Identifier: Apache-2.0
// What each wrapped call of NCCL does: matches all-reduces with the rules, takes some of them, and keeps groups and
// mirrors in step with NCCL's. All else is forwarded.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_INTERPOSER_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_INTERPOSER_H_

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "nccl/back/all_reduce.h"
#include "nccl/back/comm_table.h"
#include "nccl/back/group.h"
#include "nccl/back/nccl_abi.h"
#include "rules/log.h"
#include "rules/report.h"
#include "rules/settings.h"

namespace signccl::nccl_preload {

/// One for a process, and one for each rank in tests. Any thread may call it. Functions have the results of the
/// functions of NCCL that they stand for.
class Interposer {
 public:
  /// `library` says which NCCL is behind, and why. Settings that cannot be read are an error of the first all-reduce.
  Interposer(const RealNccl& nccl, const rules::Environment& environment, const std::string& library);
  Interposer(const Interposer&) = delete;
  Interposer& operator=(const Interposer&) = delete;

  Result allReduce(const AllReduce& call);

  Result groupStart();
  Result groupEnd();
  Result groupSimulateEnd(void* info);

  Result initAll(Comm* comms, int ndevices, const int* devices);
  Result initRank(Comm* comm, int nranks, const UniqueId& id, int rank);
  Result initRankConfig(Comm* comm, int nranks, const UniqueId& id, int rank, Config* config);
  Result initRankScalable(Comm* comm, int nranks, int rank, int nids, UniqueId* ids, Config* config);
  Result split(Comm comm, int color, int key, Comm* newcomm, Config* config);
  Result shrink(Comm comm, int* excluded, int nexcluded, Comm* newcomm, Config* config, int flags);
  Result grow(Comm comm, int nranks, const UniqueId* id, int rank, Comm* newcomm, Config* config);

  Result destroy(Comm comm);
  Result abort(Comm comm);
  Result finalize(Comm comm);
  Result revoke(Comm comm, int flags);
  Result getAsyncError(Comm comm, Result* error);

  /// Why the last all-reduce or group of this thread failed, if SignCCL had taken it; else what NCCL says. Valid until
  /// the next call of this thread.
  const char* getLastError(Comm comm);

  /// Reports the totals, those of communicators that are never destroyed included. For the end of the process.
  void end();

  [[nodiscard]] const rules::Report& report() const { return *report_; }

 private:
  [[nodiscard]] bool isDry() const { return settings_.mode == rules::Mode::kDry; }
  /// What is to become of a call. Throws Failure.
  Result decide(const AllReduce& call);
  /// Forwards a call that matches no rule that takes calls.
  Result forwardUnmatched(const AllReduce& call);
  Result take(TakenCall call, const std::shared_ptr<Record>& record);
  Result takeOrForwardSum(const TakenCall& call);
  void reportTaken(const TakenCall& call, std::uint64_t time_ns);
  /// Why a call that matches a rule is forwarded all the same; empty if it is to be taken.
  [[nodiscard]] std::string whyForwarded(const rules::Rule& rule, const rules::Call& described, const AllReduce& call,
                                         const Mark& mark) const;
  /// This rank's values where they decide; as if they fit where they cannot be seen.
  rules::LocalValues valuesInDryRun(const rules::Rule& rule, const rules::Call& described, const AllReduce& call);
  void attachNow(const std::vector<Candidate>& candidates);
  /// The report has the rank in the largest communicator, and of several ranks of this process the lowest.
  void nameRank(const Mirror& mirror);
  void issue(const std::vector<TakenCall>& calls);
  Result endOfGroup(Result of_nccl);

  /// The number of ranks, 0 if NCCL does not say.
  int ranksOf(Comm comm, Record& record) const;
  /// A communicator of ranks that may never have met is made, or will be: notes its name, and has them compare their
  /// rules once it is made.
  Result met(Result result, Comm* handle, const Config* config, const std::string& inherited);
  /// A communicator is made, or will be: notes its name.
  Result made(Result result, Comm* handle, const Config* config, const std::string& inherited);
  /// Lets the ranks of communicators that are made compare their rules. If that fails, the communicators are aborted
  /// and their handles null. Throws Failure.
  void compareRules(const std::vector<Comm*>& handles);
  /// The same for communicators that do not block, in the background.
  void compareRulesLater(const std::vector<Comm*>& handles);
  /// Waits for that, where it is under way. Throws Failure if the ranks do not fit.
  void awaitComparison(Comm comm);
  [[nodiscard]] Surroundings surroundings() const;
  [[nodiscard]] std::string nameOf(Comm comm) const;

  /// Carries out what is ours of a call, whose failures become results.
  Result guarded(const std::function<Result()>& body) noexcept;
  Result failed(Result result, const std::string& text) noexcept;

  RealNccl nccl_;
  std::string settings_error_;  ///< empty if they could be read
  rules::Settings settings_;
  std::optional<rules::Log> log_;
  std::optional<rules::Report> report_;
  bool compares_names_ = false;
  /// Comparisons in the background that are under way, or have failed.
  std::atomic<int> unsettled_comparisons_ = 0;
  CommTable comms_;
  std::atomic<bool> has_said_failure_ = false;
  std::atomic<bool> has_said_blind_ = false;
  std::mutex named_mutex_;  ///< of the two below
  int named_nranks_ = 0;
  int named_rank_ = 0;
};

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_INTERPOSER_H_
