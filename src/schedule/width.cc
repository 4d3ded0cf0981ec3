// SPDX-License-Identifier: Apache-2.0
#include "schedule/width.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/word.h"

namespace signccl {

CountRange messageRange(const CountRules& rules, int ranks) {
  SIGNCCL_ASSERT(ranks >= 1 && ranks <= rules.nranks);
  const std::int64_t total = rules.totalVotes();
  const std::int64_t counted = std::int64_t{ranks} * rules.votes_per_rank;
  CountRange range{0, counted, 0};
  if (rules.op == SignOp::kVote) {
    // Above half of all votes the vote is won whatever follows: one value stands for all of these. It is lost
    // where even total - counted further votes give less than half: 2 (count + total - counted) < total.
    range.high = std::min(counted, total / 2 + 1);
    range.low = std::max<std::int64_t>(0, (2 * counted - total + 1) / 2 - 1);
  }
  range.planes = planesFor(static_cast<std::uint64_t>(range.high - range.low));
  return range;
}

int messagePlanes(const CountRules& rules, int votes) {
  if (votes == 1) return rules.votes_per_rank;
  if (votes == rules.nranks) return resultPlanes(rules);
  return messageRange(rules, votes).planes;
}

int resultPlanes(const CountRules& rules) {
  if (rules.op == SignOp::kVote) return rules.ternary_result ? 2 : 1;
  if (rules.nranks == 1) return fullPlanes(rules);  // nothing travels
  // The receiver knows its own votes, so one rank's votes fewer are unknown to it.
  return planesFor(static_cast<std::uint64_t>(rules.nranks - 1) * static_cast<std::uint64_t>(rules.votes_per_rank));
}

int fullPlanes(const CountRules& rules) { return planesFor(static_cast<std::uint64_t>(rules.totalVotes())); }

}  // namespace signccl
