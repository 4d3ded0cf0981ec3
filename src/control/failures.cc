#include "control/failures.h"

namespace signccl {
namespace {

std::string name(Rank rank) { return "rank " + std::to_string(rank); }
std::string number(std::uint64_t exchange) { return "exchange number " + std::to_string(exchange); }

}  // namespace

Failure leftBeforeExchange(Rank gone, std::uint64_t exchange, Rank waiting) {
  return {signcclRemoteError, name(gone) + " destroyed its communicator and takes no part in " + number(exchange) +
                                  ", which " + name(waiting) + " has called"};
}

Failure leftBeforeSplit(Rank gone, Rank waiting) {
  return {signcclRemoteError, name(gone) + " destroyed its communicator and takes no part in the split that " +
                                  name(waiting) + " has called"};
}

Failure disagreement(std::uint64_t exchange, const ExchangeSignature& a, Rank rank_a, const ExchangeSignature& b,
                     Rank rank_b) {
  return {signcclInvalidUsage,
          "the ranks disagree in " + number(exchange) + ": " + describeDifference(a, rank_a, b, rank_b)};
}

Failure neverJoined(Rank waiting, const std::vector<Rank>& missing, int nranks) {
  return {signcclTimeout, name(waiting) + " waited in vain for rank " + rankList(missing) + " of " +
                              std::to_string(nranks) + " to join"};
}

Failure neverSplit(Rank waiting, const std::vector<Rank>& missing) {
  return {signcclTimeout,
          name(waiting) + " waited in vain for rank " + rankList(missing) + " to split the communicator"};
}

Failure otherSize(Rank rank, int nranks, int earlier_nranks) {
  return {signcclInvalidUsage, name(rank) + " joins a communicator of " + std::to_string(nranks) +
                                   " ranks, an earlier rank one of " + std::to_string(earlier_nranks)};
}

}  // namespace signccl
