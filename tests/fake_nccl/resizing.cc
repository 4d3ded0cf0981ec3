// SPDX-License-Identifier: Apache-2.0
// Communicators with fewer ranks than another one, and with more.
#include <algorithm>
#include <cstring>
#include <span>
#include <string>

#include "fake_nccl/nccl_api.h"
#include "fake_nccl/state.h"

namespace signccl {

using fake_nccl::call;
using fake_nccl::Communicator;
using fake_nccl::communicatorOf;
using fake_nccl::Meeting;
using fake_nccl::State;
using fake_nccl::violate;

namespace {

bool blocks(const NcclConfig* config, bool inherited) { return config == nullptr ? inherited : config->blocking != 0; }

}  // namespace

NcclResult ncclCommShrink(NcclHandle handle, int* excluded, int nexcluded, NcclHandle* newcomm, NcclConfig* config,
                          int /*flags*/) {
  return call([&](State& all, auto& lock) {
    const std::shared_ptr<Communicator> comm = communicatorOf(all, handle);
    const std::span<const int> without(excluded, static_cast<std::size_t>(nexcluded));
    if (std::ranges::find(without, comm->rank) != without.end()) violate(all, "a rank shrinks that is excluded");
    const std::string name = "shrink " + std::to_string(reinterpret_cast<std::uintptr_t>(comm->meeting.get())) + " " +
                             std::to_string(comm->nshrinks++);
    auto& shared = all.meetings[name];
    if (!shared) shared = std::make_shared<Meeting>();
    const auto nbefore = std::ranges::count_if(without, [&](int rank) { return rank < comm->rank; });
    return fake_nccl::join(all, lock,
                           {shared, comm->meeting->nranks - nexcluded, comm->rank - static_cast<int>(nbefore),
                            blocks(config, comm->is_blocking)},
                           newcomm);
  });
}

NcclResult ncclCommGetUniqueId(NcclHandle handle, NcclUniqueId* id) {
  return call([&](State& all, auto& /*lock*/) {
    const std::shared_ptr<Communicator> comm = communicatorOf(all, handle);
    *id = {};
    const std::string name = "grown " + std::to_string(++all.last_number);
    std::memcpy(id->internal, name.c_str(), name.size());
    comm->meeting->grown = all.meetings[name] = std::make_shared<Meeting>();
    all.changed.notify_all();
    return NcclResult::kSuccess;
  });
}

/// Ranks of the old communicator keep their numbers, and one of them has the id; new ranks have it and no communicator.
NcclResult ncclCommGrow(NcclHandle handle, int nranks, const NcclUniqueId* id, int rank, NcclHandle* newcomm,
                        NcclConfig* config) {
  return call([&](State& all, auto& lock) {
    if (handle == nullptr) {
      const auto found = id == nullptr ? all.meetings.end() : all.meetings.find(id->internal);
      if (found == all.meetings.end()) violate(all, "a new rank has no id");
      return fake_nccl::join(all, lock, {found->second, nranks, rank, blocks(config, true)}, newcomm);
    }
    const std::shared_ptr<Communicator> comm = communicatorOf(all, handle);
    all.changed.wait(lock, [&] { return comm->meeting->grown != nullptr; });
    return fake_nccl::join(all, lock, {comm->meeting->grown, nranks, comm->rank, blocks(config, comm->is_blocking)},
                           newcomm);
  });
}

}  // namespace signccl
