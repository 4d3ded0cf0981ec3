// SPDX-License-Identifier: Apache-2.0
// What a rank keeps about its exchanges: which one is under way, whether its hub has been told, and who has left.
#ifndef SIGNCCL_CONTROL_EXCHANGE_WATCH_H_
#define SIGNCCL_CONTROL_EXCHANGE_WATCH_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/messages.h"

namespace signccl {

/// Not thread-safe; the owner locks. `ended` is always the number of exchanges that this rank has ended.
class ExchangeWatch {
 public:
  ExchangeWatch(Rank rank, int nranks) : rank_(rank), left_(static_cast<std::size_t>(nranks)) {}

  /// Notes an exchange that this rank has begun. `announced`: the hub is told at once.
  void begin(std::uint64_t exchange, const std::string& signature, bool announced);

  /// Number of exchanges begun. May lag by one: the newest is counted once it is noted.
  [[nodiscard]] std::uint64_t begun(std::uint64_t ended) const;

  /// To be called at each tick. Gives the exchange that is under way if it has lasted so long that the hub should be
  /// told, which then compares what the ranks have called.
  std::optional<AnnounceMessage> tick(std::uint64_t ended);

  /// Notes that a rank, which is in range, has left. Gives the failure of the exchange that is under way, if it needs
  /// that rank.
  std::optional<Failure> leave(const LeftMessage& left, std::uint64_t ended);

  /// The failure of `exchange` if a rank has left before it.
  [[nodiscard]] std::optional<Failure> failureOf(std::uint64_t exchange) const;

  /// The first rank that has left; nothing if none has.
  [[nodiscard]] std::optional<Rank> firstLeft() const;

  [[nodiscard]] bool hasAnyLeft(std::span<const Rank> ranks) const;

 private:
  const Rank rank_;
  std::vector<std::optional<std::uint64_t>> left_;  ///< [rank] exchanges that it took part in, if it has left
  std::uint64_t begun_ = 0;                         ///< exchanges up to the last that was noted
  int ticks_under_way_ = 0;  ///< of the last exchange noted; reading a clock in begin() would cost too much
  std::string signature_;    ///< of the last exchange noted
  bool announced_ = true;
};

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_EXCHANGE_WATCH_H_
