// SPDX-License-Identifier: Apache-2.0
#include "control/announced_exchanges.h"

namespace signccl {
namespace {

constexpr std::size_t kMostUnderWay = 1024;

}  // namespace

AnnouncedExchanges::Result AnnouncedExchanges::add(Rank rank, const AnnounceMessage& message, std::size_t nranks) {
  Entry& entry = under_way_[message.exchange];
  if (entry.ranks.empty()) {
    entry.first_rank = rank;
    entry.signature = message.signature;
  } else if (entry.signature != message.signature) {
    return {Outcome::kDisagreement, entry.first_rank, entry.signature};
  }
  entry.ranks.insert(rank);
  if (entry.ranks.size() == nranks) {
    under_way_.erase(message.exchange);
    return {Outcome::kComplete, 0, {}};
  }
  if (under_way_.size() > kMostUnderWay) under_way_.erase(under_way_.begin());
  return {};
}

}  // namespace signccl
