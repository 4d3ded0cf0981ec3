// SPDX-License-Identifier: Apache-2.0
// How wide counters are: pure arithmetic on numbers of votes, shared by the verifier, the cost model and the layout.
//
// A rank casts 1 vote per element with binary signs and 2 with ternary ones (kernels.h, encodeTernary), so counts of k
// ranks lie in 0 .. k * votes_per_rank, and the majority is positive where twice the count exceeds the votes of all
// ranks.
#ifndef SIGNCCL_SCHEDULE_WIDTH_H_
#define SIGNCCL_SCHEDULE_WIDTH_H_

#include <cstdint>

#include "base/types.h"

namespace signccl {

/// What the collective asks of the counters; the same on every rank.
struct CountRules {
  SignOp op = SignOp::kVote;
  int nranks = 1;
  int votes_per_rank = 1;       ///< 1 binary, 2 ternary
  bool ternary_result = false;  ///< vote only: ties come back as zeros (tie rule `zero` and ties are possible)

  [[nodiscard]] std::int64_t totalVotes() const { return std::int64_t{nranks} * votes_per_rank; }

  friend bool operator==(const CountRules&, const CountRules&) = default;
};

/// Numbers from `low` to `high`, held as value - low in `planes` bit planes.
struct CountRange {
  std::int64_t low = 0;
  std::int64_t high = 0;
  int planes = 0;
};

/// Range of the counters in a message that holds the votes of `ranks` ranks, 1 < ranks < nranks.
/// Avg: all counts. Vote: clamped, because a count that can no longer lose (or win) needs no more detail; exact in
/// any order of merging. See docs/algorithms.md.
CountRange messageRange(const CountRules& rules, int ranks);

/// Planes of a message: votes == 1: signs; votes == nranks (and nranks > 1): the result; otherwise
/// messageRange().planes.
int messagePlanes(const CountRules& rules, int votes);

/// Planes of a result: vote 1, or 2 with zeros; avg the counts modulo 2^planes that the receiver's own vote completes:
/// ceil(log2 nranks) binary, ceil(log2(2 nranks - 1)) ternary. Avg of one rank: fullPlanes, as nothing travels.
int resultPlanes(const CountRules& rules);

/// Planes of a complete count: planesFor(totalVotes()).
int fullPlanes(const CountRules& rules);

}  // namespace signccl

#endif  // SIGNCCL_SCHEDULE_WIDTH_H_
