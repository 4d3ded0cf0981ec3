// SPDX-License-Identifier: Apache-2.0
// What the hub of a group collects: a part from each rank, until all are there.
#ifndef SIGNCCL_CONTROL_GATHERINGS_H_
#define SIGNCCL_CONTROL_GATHERINGS_H_

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/messages.h"

namespace signccl {

/// Data alone: knows no connections. Ranks are in range.
class Gatherings {
 public:
  /// The number of ranks, before anything else.
  void setRanks(std::size_t nranks) { nranks_ = nranks; }

  /// Takes the part of a rank; a second one replaces the first. Gives all parts, and forgets the gathering, when every
  /// rank has given one.
  std::optional<GatheredMessage> add(Rank rank, GatherMessage message);

  /// A gathering that cannot end, since a rank of `left` has given no part.
  struct Stuck {
    GatheringId id;
    Rank rank = 0;     ///< that has left
    Rank waiting = 0;  ///< that began the gathering
  };
  /// The first of them, if there is one. `left` is [rank].
  [[nodiscard]] std::optional<Stuck> findStuck(const std::vector<bool>& left) const;

  /// The rank whose part came first; nothing if nobody has begun such a gathering.
  [[nodiscard]] std::optional<Rank> firstRankOf(const GatheringId& id) const;

  /// Ranks that have given no part, ascending; nothing if nobody has begun such a gathering.
  [[nodiscard]] std::vector<Rank> missing(const GatheringId& id) const;

 private:
  struct Parts {
    std::vector<std::optional<std::string>> of_rank;
    Rank first_rank = 0;  ///< whose part came first
    std::size_t present = 0;
  };

  std::size_t nranks_ = 0;
  std::map<GatheringId, Parts> under_way_;
};

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_GATHERINGS_H_
