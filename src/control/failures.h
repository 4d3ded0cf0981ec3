// What groups of all kinds say when they fail.
#ifndef SIGNCCL_CONTROL_FAILURES_H_
#define SIGNCCL_CONTROL_FAILURES_H_

#include "base/failure.h"
#include "control/signature.h"

namespace signccl {

/// `gone` destroyed its communicator before `exchange`, which `waiting` has called.
Failure leftBeforeExchange(Rank gone, std::uint64_t exchange, Rank waiting);

/// `gone` destroyed its communicator before a split that `waiting` has called.
Failure leftBeforeSplit(Rank gone, Rank waiting);

/// Two ranks take an exchange to be different things.
Failure disagreement(std::uint64_t exchange, const ExchangeSignature& a, Rank rank_a, const ExchangeSignature& b,
                     Rank rank_b);

/// Ranks that did not join, or take part in a split, before the deadline of `waiting`.
Failure neverJoined(Rank waiting, const std::vector<Rank>& missing, int nranks);
Failure neverSplit(Rank waiting, const std::vector<Rank>& missing);

/// `rank` joins a group of `nranks`, which the earlier ranks take to be of another size.
Failure otherSize(Rank rank, int nranks, int earlier_nranks);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_FAILURES_H_
