// SPDX-License-Identifier: Apache-2.0
// Sets of ranks whose votes some counters hold, exact, as sorted intervals. For the verifier.
#ifndef SIGNCCL_SCHEDULE_VERIFY_VOTE_SETS_H_
#define SIGNCCL_SCHEDULE_VERIFY_VOTE_SETS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/types.h"

namespace signccl {

/// Keeps every set that was ever made; a set is a number. Sets that schedules produce are few intervals, or few sets.
class VoteSets {
 public:
  using Id = std::int32_t;
  static constexpr Id kEmpty = -1;

  explicit VoteSets(int nranks);

  /// The set of one rank.
  [[nodiscard]] Id of(Rank rank) const { return rank; }

  /// Number of ranks in the set.
  [[nodiscard]] int size(Id id) const { return id == kEmpty ? 0 : sets_[static_cast<std::size_t>(id)].size; }

  [[nodiscard]] bool equal(Id a, Id b) const;

  /// A union is made in three steps: add(), add() ..., take(). add returns a rank that was there already, or -1.
  Rank add(Id id);
  Id take();

 private:
  /// Ranks first to last.
  struct Interval {
    Rank first;
    Rank last;

    friend bool operator==(const Interval&, const Interval&) = default;
  };
  struct Set {
    std::size_t first_interval;
    int nintervals;
    int size;
  };

  [[nodiscard]] std::span<const Interval> intervalsOf(Id id) const;
  Rank addWord(std::size_t word, std::uint64_t bits);

  std::vector<Set> sets_;
  std::vector<Interval> intervals_;
  std::vector<std::uint64_t> members_;  ///< one bit per rank: the union in the making
};

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_VERIFY_VOTE_SETS_H_
