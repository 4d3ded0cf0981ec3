// Gatherings: every rank gives its part, and every rank gets the parts of all. Their numbers, and what ranks say when
// one fails.
#ifndef SIGNCCL_CONTROL_GATHERING_H_
#define SIGNCCL_CONTROL_GATHERING_H_

#include <cstdint>
#include <vector>

#include "base/failure.h"
#include "base/types.h"

namespace signccl {

/// Splits and all-gathers of a communicator are counted together, so that ranks in different calls do not take each
/// other's parts. The n-th of them (from 1) has the number n as a split and kAllGathers + n as an all-gather.
inline constexpr std::uint64_t kAllGathers = std::uint64_t{1} << 62;

constexpr bool isAllGather(std::uint64_t gathering) { return (gathering & kAllGathers) != 0; }
/// The number that this gathering would have if it were of the other kind.
constexpr std::uint64_t otherKind(std::uint64_t gathering) { return gathering ^ kAllGathers; }

/// `gone` destroyed its communicator before a gathering in which `waiting` waits.
Failure leftBeforeGathering(std::uint64_t gathering, Rank gone, Rank waiting);

/// Ranks that took no part in a gathering before the deadline of `waiting`.
Failure missedGathering(std::uint64_t gathering, Rank waiting, const std::vector<Rank>& missing);

/// One rank splits the communicator where another one calls an all-gather.
Failure splitMeetsAllGather(Rank splitting, Rank gathering);

/// Two ranks give parts of different sizes to an all-gather.
Failure otherGatherSize(Rank rank_a, std::size_t bytes_a, Rank rank_b, std::size_t bytes_b);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_GATHERING_H_
