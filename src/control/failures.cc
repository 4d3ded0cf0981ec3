// SPDX-License-Identifier: Apache-2.0
#include "control/failures.h"

namespace signccl {
namespace {

using Scope = Failure::Scope;

std::string number(std::uint64_t exchange) { return "exchange number " + std::to_string(exchange); }

/// What a rank does that takes part, after "to".
const char* action(Gathering purpose) {
  switch (purpose) {
    case Gathering::kAddresses:
      return "join";
    case Gathering::kSplit:
      return "split the communicator";
    case Gathering::kAllGather:
      return "call signcclCommAllGather()";
  }
  return "take part";
}

/// After "takes no part in".
const char* event(Gathering purpose) {
  switch (purpose) {
    case Gathering::kAddresses:
      return "the initialisation";
    case Gathering::kSplit:
      return "the split";
    case Gathering::kAllGather:
      return "the signcclCommAllGather()";
  }
  return "the call";
}

}  // namespace

Failure leftBeforeExchange(Rank gone, std::uint64_t exchange, Rank waiting) {
  return {signcclRemoteError,
          rankName(gone) + " destroyed its communicator and takes no part in " + number(exchange) + ", which " +
              rankName(waiting) + " has called",
          Scope::kGroup,
          {gone}};
}

Failure leftBeforeGathering(Rank gone, Gathering purpose, Rank waiting) {
  return {signcclRemoteError,
          rankName(gone) + " destroyed its communicator and takes no part in " + event(purpose) + " that " +
              rankName(waiting) + " has called",
          Scope::kGroup,
          {gone}};
}

Failure disagreement(std::uint64_t exchange, const std::string& difference) {
  return {signcclInvalidUsage, "the ranks disagree in " + number(exchange) + ": " + difference, Scope::kExchange};
}

Failure differentSettings(const std::string& difference) { return {signcclInvalidUsage, difference, Scope::kExchange}; }

Failure neverJoined(Rank waiting, const std::vector<Rank>& missing, int nranks) {
  return {signcclTimeout,
          rankName(waiting) + " timed out waiting for " + rankNames(missing) + " of " + std::to_string(nranks) +
              " to join (not started, or with another unique id or SIGNCCL_COMM_ID?)",
          Scope::kGroup, missing};
}

Failure neverGathered(Rank waiting, Gathering purpose, const std::vector<Rank>& missing) {
  return {signcclTimeout, rankName(waiting) + " timed out waiting for " + rankNames(missing) + " to " + action(purpose),
          Scope::kGroup, missing};
}

Failure splitMeetsAllGather(Rank splitting, Rank gathering) {
  return {signcclInvalidUsage,
          "the ranks disagree: " + rankName(splitting) + " has called signcclCommSplit() where " + rankName(gathering) +
              " has called signcclCommAllGather()",
          Scope::kExchange};
}

Failure otherGatherSize(Rank rank_a, std::size_t bytes_a, Rank rank_b, std::size_t bytes_b) {
  return {signcclInvalidUsage,
          "the ranks disagree in signcclCommAllGather(): bytes is " +
              onRanks(std::to_string(bytes_a), rank_a, std::to_string(bytes_b), rank_b),
          Scope::kExchange};
}

Failure outOfRange(Rank rank, int nranks) {
  const bool is_size = nranks < 1 || nranks > kMaxRanks;
  return {signcclInvalidUsage, is_size ? "a communicator of " + std::to_string(nranks) +
                                             " ranks is out of range, expected 1 to " + std::to_string(kMaxRanks)
                                       : rankName(rank) + " is out of range for a communicator of " +
                                             std::to_string(nranks) + " ranks, expected 0 to " +
                                             std::to_string(nranks - 1)};
}

Failure otherSize(Rank rank, int nranks, int earlier_nranks) {
  return {signcclInvalidUsage, rankName(rank) + " joins a communicator of " + std::to_string(nranks) +
                                   " ranks, an earlier rank one of " + std::to_string(earlier_nranks)};
}

}  // namespace signccl
