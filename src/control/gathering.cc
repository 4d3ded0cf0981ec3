#include "control/gathering.h"

#include <string>

#include "control/failures.h"

namespace signccl {
namespace {

constexpr const char* kAllGatherCall = "signcclCommAllGather()";

std::string name(Rank rank) { return "rank " + std::to_string(rank); }

}  // namespace

Failure leftBeforeGathering(std::uint64_t gathering, Rank gone, Rank waiting) {
  if (!isAllGather(gathering)) return leftBeforeSplit(gone, waiting);
  return {signcclRemoteError, name(gone) + " destroyed its communicator and takes no part in the " + kAllGatherCall +
                                  " that " + name(waiting) + " has called"};
}

Failure missedGathering(std::uint64_t gathering, Rank waiting, const std::vector<Rank>& missing) {
  if (!isAllGather(gathering)) return neverSplit(waiting, missing);
  return {signcclTimeout, name(waiting) + " waited in " + kAllGatherCall + " for rank " + rankList(missing) +
                              ", which did not call it before the deadline"};
}

Failure splitMeetsAllGather(Rank splitting, Rank gathering) {
  return {signcclInvalidUsage, "the ranks disagree: " + name(splitting) + " has called signcclCommSplit() where " +
                                   name(gathering) + " has called " + kAllGatherCall};
}

Failure otherGatherSize(Rank rank_a, std::size_t bytes_a, Rank rank_b, std::size_t bytes_b) {
  return {signcclInvalidUsage, std::string("the ranks disagree in ") + kAllGatherCall + ": bytes is " +
                                   std::to_string(bytes_a) + " on " + name(rank_a) + " and " + std::to_string(bytes_b) +
                                   " on " + name(rank_b)};
}

}  // namespace signccl
