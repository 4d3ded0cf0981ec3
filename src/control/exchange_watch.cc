// SPDX-License-Identifier: Apache-2.0
#include "control/exchange_watch.h"

#include <algorithm>

#include "control/failures.h"

namespace signccl {
namespace {

/// An exchange that is under way at so many ticks in turn is announced.
constexpr int kTicksBeforeAnnounce = 3;

}  // namespace

void ExchangeWatch::begin(std::uint64_t exchange, const std::string& signature, bool announced) {
  begun_ = exchange + 1;
  ticks_under_way_ = 0;
  signature_ = signature;
  announced_ = announced;
}

std::uint64_t ExchangeWatch::begun(std::uint64_t ended) const { return std::max(begun_, ended); }

std::optional<AnnounceMessage> ExchangeWatch::tick(std::uint64_t ended) {
  if (announced_ || ended >= begun_) return std::nullopt;
  if (++ticks_under_way_ < kTicksBeforeAnnounce) return std::nullopt;
  announced_ = true;
  return AnnounceMessage{begun_ - 1, signature_};
}

std::optional<Failure> ExchangeWatch::leave(const LeftMessage& left, std::uint64_t ended) {
  left_[static_cast<std::size_t>(left.rank)] = left.begun;
  if (begun_ <= left.begun || ended >= begun_) return std::nullopt;
  return leftBeforeExchange(left.rank, begun_ - 1, rank_);
}

std::optional<Failure> ExchangeWatch::failureOf(std::uint64_t exchange) const {
  for (std::size_t other = 0; other < left_.size(); ++other) {
    if (left_[other] && *left_[other] <= exchange) return leftBeforeExchange(static_cast<Rank>(other), exchange, rank_);
  }
  return std::nullopt;
}

std::optional<Rank> ExchangeWatch::firstLeft() const {
  const auto found = std::ranges::find_if(left_, [](const auto& one) { return one.has_value(); });
  return found == left_.end() ? std::nullopt : std::optional(static_cast<Rank>(found - left_.begin()));
}

bool ExchangeWatch::hasAnyLeft(std::span<const Rank> ranks) const {
  return std::ranges::any_of(ranks, [&](Rank rank) { return left_[static_cast<std::size_t>(rank)].has_value(); });
}

}  // namespace signccl
