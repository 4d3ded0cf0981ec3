// SPDX-License-Identifier: Apache-2.0
#include "comm/announcements.h"

#include <utility>

#include "control/failures.h"

namespace signccl {
std::optional<Failure> Announcements::announce(Rank rank, std::uint64_t exchange, const ExchangeSignature& signature) {
  while (exchange >= first_ + entries_.size()) grow();
  last_[static_cast<std::size_t>(rank)] = static_cast<std::int64_t>(exchange);
  for (std::size_t other = 0; other < left_.size(); ++other) {
    if (left_[other] != 0 && last_[other] < static_cast<std::int64_t>(exchange)) {
      return leftBeforeExchange(static_cast<Rank>(other), exchange, rank);
    }
  }
  Entry& noted = entry(exchange);
  if (noted.first_rank < 0) {
    noted.signature = signature;  // first, since it may run out of memory: others must not meet half a signature
    noted.first_rank = rank;
  } else if (!(noted.signature == signature)) {
    return disagreement(exchange, describeDifference(noted.signature, noted.first_rank, signature, rank));
  }
  ++noted.announced;
  while (entry(first_).announced == static_cast<int>(last_.size())) {
    entry(first_).first_rank = -1;
    entry(first_).announced = 0;
    ++first_;
  }
  return std::nullopt;
}

std::optional<Failure> Announcements::leave(Rank rank) {
  left_[static_cast<std::size_t>(rank)] = 1;
  const std::int64_t mine = last_[static_cast<std::size_t>(rank)];
  for (std::size_t other = 0; other < last_.size(); ++other) {
    if (last_[other] > mine)
      return leftBeforeExchange(rank, static_cast<std::uint64_t>(mine + 1), static_cast<Rank>(other));
  }
  return std::nullopt;
}

std::vector<Rank> Announcements::missing(std::uint64_t exchange) const {
  std::vector<Rank> ranks;
  for (std::size_t rank = 0; rank < last_.size(); ++rank) {
    if (last_[rank] < static_cast<std::int64_t>(exchange)) ranks.push_back(static_cast<Rank>(rank));
  }
  return ranks;
}

void Announcements::grow() {
  std::vector<Entry> larger(2 * entries_.size());
  for (std::uint64_t exchange = first_; exchange < first_ + entries_.size(); ++exchange) {
    larger[exchange & (larger.size() - 1)] = std::move(entry(exchange));
  }
  entries_ = std::move(larger);
}

}  // namespace signccl
