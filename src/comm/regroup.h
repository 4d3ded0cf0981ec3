// SPDX-License-Identifier: Apache-2.0
// Splitting a group: which ranks are together in the groups that come of it, and as which ranks.
#ifndef SIGNCCL_COMM_REGROUP_H_
#define SIGNCCL_COMM_REGROUP_H_

#include <optional>
#include <span>
#include <vector>

#include "base/failure.h"
#include "control/shared_settings.h"

namespace signccl {

/// What one rank asks of a split.
struct SplitRequest {
  Rank rank = 0;
  int color = 0;  ///< ranks of one color will be one group; negative: in none
  int key = 0;
  SharedSettings settings;  ///< for the new communicator
};

/// The ranks of `color`, of which `requests` are those of all ranks in any order: [new rank] by key, then by old rank.
std::vector<Rank> ranksOfColor(int color, std::span<const SplitRequest> requests);

/// The failure of a split in which two ranks ask for one group with different settings, nothing if they do not.
std::optional<Failure> objectionTo(const SplitRequest& earlier, const SplitRequest& later);

/// The place of `rank`, which is there, in `ranks`: its rank in the new group.
Rank newRankOf(Rank rank, std::span<const Rank> ranks);

}  // namespace signccl

#endif  // SIGNCCL_COMM_REGROUP_H_
