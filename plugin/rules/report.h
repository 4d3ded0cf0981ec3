// SPDX-License-Identifier: Apache-2.0
// What the rules have done: counters for each rule, lines in the log when something happens first, and totals at exit.
#ifndef SIGNCCL_PLUGIN_RULES_REPORT_H_
#define SIGNCCL_PLUGIN_RULES_REPORT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "rules/log.h"
#include "rules/settings.h"
#include "rules/takeover.h"
#include "rules/values.h"

namespace signccl::rules {

/// Bytes that each rank sends in a ring allreduce of `count` elements, as MPI and NCCL would: 2 (N - 1) / N of the
/// vector.
std::uint64_t ringBytes(ElementType type, std::uint64_t count, int ranks);

/// A call that was taken.
struct Taken {
  std::uint64_t elements = 0;
  std::uint64_t ring_bytes = 0;  ///< ringBytes()
  std::uint64_t sent_bytes = 0;  ///< what SignCCL has sent, of signcclCommGetStats()
  std::uint64_t time_ns = 0;
};

/// A call that fell back, as signcclSumOutcome_t says it.
struct FellBack {
  Values values = Values::kOther;
  std::int64_t first_index = -1;  ///< of this rank's first element that does not fit; -1: all of this rank fit
  double first_value = 0;
  std::uint64_t time_ns = 0;  ///< of the try
  std::string refused;        ///< why SignCCL could not take this rank's buffers; empty if it could
};

/// Counters of a rule. A call that matches is counted once more, as taken, fallen back or forwarded.
struct Counters {
  std::uint64_t matched = 0;
  std::uint64_t taken = 0;  ///< in a dry run: what would have been, if other ranks' values are such too
  std::uint64_t fallen_back = 0;
  std::uint64_t forwarded = 0;  ///< without a try
  std::uint64_t elements = 0;   ///< of calls that were taken, as all that follow
  std::uint64_t ring_bytes = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t time_ns = 0;
  std::uint64_t lost_ns = 0;  ///< of tries that fell back
};

/// Calls of a dry run that match no rule that takes calls, by what is in the way. A call counts once, with the first of
/// these that no such rule has.
struct Unmatched {
  std::uint64_t type = 0;              ///< another element type
  std::uint64_t op = 0;                ///< another reduction
  std::uint64_t small = 0;             ///< fewer elements
  std::uint64_t rest = 0;              ///< more elements, the number of ranks, the communicator's name, or a mark
  std::uint64_t largest_of_small = 0;  ///< elements of the largest of the small ones
  [[nodiscard]] std::uint64_t all() const { return type + op + small + rest; }
};

/// One for each process. Any thread may use it. `index` is always that of the rule that the call matches.
class Report {
 public:
  /// `settings` and `log` must outlive it.
  Report(const Settings& settings, const Log& log);
  ~Report();
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

  /// Rank of this process in the job, for the lines; that of rank 0 prints the totals.
  void setRank(int rank) noexcept { rank_.store(rank, std::memory_order_relaxed); }

  /// The mode, the digest and the rules, at INFO. `library` says which library is behind, and why.
  void begin(const std::string& library) const;

  void matched(std::size_t index, const Call& call);
  void taken(std::size_t index, const Taken& call);
  /// More bytes that SignCCL has sent for calls that were taken, where they are known later than the call.
  void sent(std::size_t index, std::uint64_t bytes);
  void fellBack(std::size_t index, const FellBack& call);

  /// `why` is whyNotCarried() or a reason of the plugin's, said when it comes first for this rule, and counted; empty
  /// for rules that forward.
  void forwarded(std::size_t index, const std::string& why);

  /// In a dry run, instead of the three above: a call that would be carried, with this rank's values. Rules with vote
  /// and avg take all values.
  void wouldTake(std::size_t index, const Call& call, const LocalValues& values);

  /// In a dry run: a call that is forwarded since it matches no rule, or may match none.
  void unmatched(const Call& call);

  [[nodiscard]] Counters counters(std::size_t index) const;
  [[nodiscard]] Unmatched unmatchedCalls() const;

  /// The counters of a rule in words.
  [[nodiscard]] std::string totals(std::size_t index) const;

  /// The calls that match no rule that takes calls, in words.
  [[nodiscard]] std::string totalsOfUnmatched() const;

  /// The totals of all rules, and in a dry run of calls that match none: at INFO on rank 0 and where no rank is known,
  /// at TRACE on others.
  void end() const;

 private:
  struct Entry;

  /// The rule, as lines name it.
  [[nodiscard]] std::string subject(std::size_t index) const;

  void line(LogLevel level, const std::string& text) const {
    log_.line(level, rank_.load(std::memory_order_relaxed), text);
  }

  const Settings& settings_;
  const Log& log_;
  std::atomic<int> rank_{kNoRank};
  std::unique_ptr<Entry[]> entries_;  ///< one for each rule
  mutable std::mutex unmatched_mutex_;
  Unmatched unmatched_;
};

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_REPORT_H_
