// SPDX-License-Identifier: Apache-2.0
#include "comm/regroup.h"

#include <algorithm>
#include <utility>

#include "control/failures.h"

namespace signccl {

std::vector<Rank> ranksOfColor(int color, std::span<const SplitRequest> requests) {
  std::vector<std::pair<int, Rank>> order;
  for (const SplitRequest& one : requests) {
    if (one.color == color) order.emplace_back(one.key, one.rank);
  }
  std::ranges::sort(order);
  std::vector<Rank> ranks;
  for (const auto& [key, rank] : order) ranks.push_back(rank);
  return ranks;
}

std::optional<Failure> objectionTo(const SplitRequest& earlier, const SplitRequest& later) {
  if (earlier.color != later.color || later.color < 0) return std::nullopt;
  const auto difference = describeDifference(earlier.settings, earlier.rank, later.settings, later.rank);
  return difference ? std::optional(differentSettings(*difference)) : std::nullopt;
}

Rank newRankOf(Rank rank, std::span<const Rank> ranks) {
  return static_cast<Rank>(std::ranges::find(ranks, rank) - ranks.begin());
}

}  // namespace signccl
