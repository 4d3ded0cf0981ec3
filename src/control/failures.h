// SPDX-License-Identifier: Apache-2.0
// What groups of all kinds say when they fail.
#ifndef SIGNCCL_CONTROL_FAILURES_H_
#define SIGNCCL_CONTROL_FAILURES_H_

#include <string>

#include "base/failure.h"
#include "base/types.h"
#include "control/messages.h"

namespace signccl {

/// `gone` destroyed its communicator before `exchange`, which `waiting` has called.
Failure leftBeforeExchange(Rank gone, std::uint64_t exchange, Rank waiting);

/// `gone` destroyed its communicator before a gathering that `waiting` takes part in.
Failure leftBeforeGathering(Rank gone, Gathering purpose, Rank waiting);

/// Two ranks have called different collectives as the same exchange; `difference` says what differs.
Failure disagreement(std::uint64_t exchange, const std::string& difference);

/// Ranks of one group have different settings; `difference` says which.
Failure differentSettings(const std::string& difference);

/// Ranks that did not join, or take part in a gathering, before the deadline of `waiting`.
Failure neverJoined(Rank waiting, const std::vector<Rank>& missing, int nranks);
Failure neverGathered(Rank waiting, Gathering purpose, const std::vector<Rank>& missing);

/// One rank splits the communicator where another one calls signcclCommAllGather().
Failure splitMeetsAllGather(Rank splitting, Rank gathering);

/// Two ranks give parts of different sizes to signcclCommAllGather().
Failure otherGatherSize(Rank rank_a, std::size_t bytes_a, Rank rank_b, std::size_t bytes_b);

/// `rank` says that it is in a group of `nranks`, but one of the two numbers is out of range.
Failure outOfRange(Rank rank, int nranks);

/// `rank` joins a group of `nranks`, which the earlier ranks take to be of another size.
Failure otherSize(Rank rank, int nranks, int earlier_nranks);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_FAILURES_H_
