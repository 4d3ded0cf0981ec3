// SPDX-License-Identifier: Apache-2.0
// The board on which ranks of one process announce their exchanges, so that disagreement is found before any data
// moves.
#ifndef SIGNCCL_COMM_ANNOUNCEMENTS_H_
#define SIGNCCL_COMM_ANNOUNCEMENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/group.h"
#include "comm/signature.h"

namespace signccl {

/// Not thread-safe; the owner locks.
class Announcements {
 public:
  explicit Announcements(int nranks) : last_(static_cast<std::size_t>(nranks), -1), left_(last_.size(), 0) {}

  /// Notes the next exchange of `rank`, which is `exchange`. Gives a message if it does not fit what another rank
  /// announced or if a rank that it needs has left.
  std::optional<Failure> announce(Rank rank, std::uint64_t exchange, const ExchangeSignature& signature);

  /// Notes that `rank` has left. Gives a message if other ranks wait for it.
  std::optional<Failure> leave(Rank rank);

  [[nodiscard]] bool hasLeft(Rank rank) const { return left_[static_cast<std::size_t>(rank)] != 0; }

  /// Ranks that have not announced `exchange`, ascending.
  [[nodiscard]] std::vector<Rank> missing(std::uint64_t exchange) const;

  /// True if every rank has announced `exchange`.
  [[nodiscard]] bool complete(std::uint64_t exchange) const { return exchange < first_; }

 private:
  struct Entry {
    Rank first_rank = -1;  ///< who announced it first, -1: nobody yet
    int announced = 0;
    ExchangeSignature signature;
  };

  /// A power of two of entries, so that this needs no division.
  [[nodiscard]] Entry& entry(std::uint64_t exchange) { return entries_[exchange & (entries_.size() - 1)]; }
  void grow();

  std::vector<Entry> entries_ = std::vector<Entry>(8);  ///< a ring; exchange e is at e % size
  std::uint64_t first_ = 0;                             ///< oldest exchange that not every rank has announced
  std::vector<std::int64_t> last_;                      ///< [rank] last exchange announced, -1: none
  std::vector<std::uint8_t> left_;                      ///< [rank]
};

}  // namespace signccl

#endif  // SIGNCCL_COMM_ANNOUNCEMENTS_H_
