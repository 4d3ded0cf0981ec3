// SPDX-License-Identifier: Apache-2.0
#include "control/gatherings.h"

#include <utility>

namespace signccl {

std::optional<GatheredMessage> Gatherings::add(Rank rank, GatherMessage message) {
  Parts& parts = under_way_[message.id];
  if (parts.of_rank.empty()) {
    parts.of_rank.resize(nranks_);
    parts.first_rank = rank;
  }
  std::optional<std::string>& part = parts.of_rank[static_cast<std::size_t>(rank)];
  if (!part) ++parts.present;
  part = std::move(message.part);
  if (parts.present < nranks_) return std::nullopt;
  GatheredMessage gathered{message.id, {}};
  for (std::optional<std::string>& one : parts.of_rank) gathered.parts.push_back(std::move(*one));
  under_way_.erase(message.id);
  return gathered;
}

std::optional<Gatherings::Stuck> Gatherings::findStuck(const std::vector<bool>& left) const {
  for (const auto& [id, parts] : under_way_) {
    for (std::size_t rank = 0; rank < nranks_; ++rank) {
      if (left[rank] && !parts.of_rank[rank]) return Stuck{id, static_cast<Rank>(rank), parts.first_rank};
    }
  }
  return std::nullopt;
}

std::optional<Rank> Gatherings::firstRankOf(const GatheringId& id) const {
  const auto found = under_way_.find(id);
  return found == under_way_.end() ? std::nullopt : std::optional(found->second.first_rank);
}

std::vector<Rank> Gatherings::missing(const GatheringId& id) const {
  std::vector<Rank> ranks;
  const auto found = under_way_.find(id);
  if (found == under_way_.end()) return ranks;
  for (std::size_t rank = 0; rank < nranks_; ++rank) {
    if (!found->second.of_rank[rank]) ranks.push_back(static_cast<Rank>(rank));
  }
  return ranks;
}

}  // namespace signccl
