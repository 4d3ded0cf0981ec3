// SPDX-License-Identifier: Apache-2.0
// Functions that SignCCL itself does not use, and its preload library does: further ways to make communicators, and
// what is asked of them.
#include <string>

#include "fake_nccl/nccl_api.h"
#include "fake_nccl/state.h"

namespace signccl {

using fake_nccl::call;
using fake_nccl::Communicator;
using fake_nccl::communicatorOf;
using fake_nccl::State;
using fake_nccl::violate;

namespace {

NcclConfig defaultConfig() {
  NcclConfig config{};
  config.size = sizeof(config);
  config.magic = kNcclConfigMagic;
  config.version = 23203;
  config.blocking = kNcclUndefined;
  return config;
}

/// Ranks of `color` that come before [key, rank].
int placeAmong(const std::map<int, std::pair<int, int>>& ranks, int color, int key, int rank) {
  int place = 0;
  for (const auto& [other, choice] : ranks) {
    if (choice.first == color && std::pair(choice.second, other) < std::pair(key, rank)) ++place;
  }
  return place;
}

}  // namespace

NcclResult ncclCommInitRank(NcclHandle* comm, int nranks, NcclUniqueId id, int rank) {
  NcclConfig config = defaultConfig();
  return ncclCommInitRankConfig(comm, nranks, id, rank, &config);
}

NcclResult ncclCommInitRankScalable(NcclHandle* comm, int nranks, int rank, int /*nids*/, NcclUniqueId* ids,
                                    NcclConfig* config) {
  return ncclCommInitRankConfig(comm, nranks, ids[0], rank, config);
}

NcclResult ncclCommSplit(NcclHandle handle, int color, int key, NcclHandle* newcomm, NcclConfig* config) {
  return call([&](State& all, auto& lock) {
    const std::shared_ptr<Communicator> comm = communicatorOf(all, handle);
    fake_nccl::Meeting& meeting = *comm->meeting;
    const auto number = static_cast<std::size_t>(comm->nsplits++);
    if (meeting.splits.size() <= number) meeting.splits.resize(number + 1);
    meeting.splits[number][comm->rank] = {color, key};
    all.changed.notify_all();
    if (config != nullptr && (config->size < sizeof(NcclConfig) || config->magic != kNcclConfigMagic)) {
      violate(all, "a configuration is malformed");
    }
    *newcomm = nullptr;
    // Without a deadline, as in NCCL, until somebody aborts this communicator.
    const auto have_all_come = [&] {
      return meeting.splits[number].size() == static_cast<std::size_t>(meeting.nranks);
    };
    all.changed.wait(lock, [&] { return have_all_come() || comm->is_aborted; });
    if (!have_all_come()) return NcclResult::kInternalError;
    if (color < 0) return NcclResult::kSuccess;
    const std::map<int, std::pair<int, int>>& ranks = meeting.splits[number];
    int nranks = 0;
    for (const auto& [rank, choice] : ranks) nranks += choice.first == color ? 1 : 0;
    const std::string name = "split " + std::to_string(reinterpret_cast<std::uintptr_t>(&meeting)) + " " +
                             std::to_string(number) + " " + std::to_string(color);
    auto& shared = all.meetings[name];
    if (!shared) shared = std::make_shared<fake_nccl::Meeting>();
    const bool is_blocking = config == nullptr ? comm->is_blocking : config->blocking != 0;
    return fake_nccl::join(all, lock, {shared, nranks, placeAmong(ranks, color, key, comm->rank), is_blocking},
                           newcomm);
  });
}

NcclResult ncclCommFinalize(NcclHandle comm) {
  return call([&](State& all, auto& /*lock*/) {
    communicatorOf(all, comm);
    return NcclResult::kSuccess;
  });
}

NcclResult ncclCommRevoke(NcclHandle comm, int /*flags*/) {
  return call([&](State& all, auto& /*lock*/) {
    communicatorOf(all, comm)->is_revoked = true;
    return NcclResult::kSuccess;
  });
}

NcclResult ncclCommCount(NcclHandle comm, int* count) {
  return call([&](State& all, auto& /*lock*/) {
    *count = communicatorOf(all, comm)->meeting->nranks;
    return NcclResult::kSuccess;
  });
}

NcclResult ncclCommUserRank(NcclHandle comm, int* rank) {
  return call([&](State& all, auto& /*lock*/) {
    *rank = communicatorOf(all, comm)->rank;
    return NcclResult::kSuccess;
  });
}

NcclResult ncclCommCuDevice(NcclHandle comm, int* device) {
  return call([&](State& all, auto& /*lock*/) {
    *device = communicatorOf(all, comm)->device;
    return NcclResult::kSuccess;
  });
}

}  // namespace signccl
