// SPDX-License-Identifier: Apache-2.0
// One message of each type, with something in every field.
#ifndef SIGNCCL_TESTS_CONTROL_EXAMPLE_MESSAGES_H_
#define SIGNCCL_TESTS_CONTROL_EXAMPLE_MESSAGES_H_

#include "control/messages.h"

namespace signccl {

inline constexpr Secret kExampleSecret{0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff};

/// Tests reach a hub without leaving their host.
inline constexpr const char* kExampleHubAddress = "";

inline HelloMessage exampleHello(Rank rank = 1, int nranks = 3) {
  HelloMessage hello;
  hello.secret = kExampleSecret;
  hello.rank = rank;
  hello.nranks = nranks;
  hello.version = "0.1.0";
  hello.info.host = "host";
  hello.info.machine = "machine";
  hello.info.cores = "\x0f";
  hello.info.process = static_cast<std::uint64_t>(rank) + 1;
  hello.info.link_mbit = 10'000;
  hello.info.quota = {2500, 17};
  hello.info.hub_address = "10.0.0.1";
  hello.settings = {{"SIGNCCL_ALGO", "ring"}, {"SIGNCCL_SLICE_BYTES", "64"}};
  return hello;
}

inline RosterMessage exampleRoster(int nranks = 3) {
  RosterMessage roster{kExampleSecret, 1, {}};
  for (Rank rank = 0; rank < nranks; ++rank) roster.ranks.push_back(exampleHello(rank, nranks).info);
  for (RankInfo& rank : roster.ranks) rank.hub_address = kExampleHubAddress;
  return roster;
}

/// Of an exchange that is, to the control plane, a number and bytes.
inline AnnounceMessage exampleAnnounce(std::uint64_t exchange = 7) {
  return {exchange, std::string("\x01\0signature\xff", 12)};
}

inline Failure exampleFailure() { return {signcclTimeout, "rank 1 waited in vain", Failure::Scope::kGroup, {0, 2}}; }
inline LeftMessage exampleLeft() { return {2, std::uint64_t{1} << 33}; }
inline GatherMessage exampleGather() { return {{Gathering::kSplit, 5}, std::string("\0bytes\xff", 7)}; }
inline GatheredMessage exampleGathered() { return {{Gathering::kSplit, 5}, {"", "part", std::string(300, 'p')}}; }
inline MissingMessage exampleMissing() { return {9, {0, 2, 32'000}}; }

}  // namespace signccl

#endif  // SIGNCCL_TESTS_CONTROL_EXAMPLE_MESSAGES_H_
