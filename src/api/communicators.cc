// SPDX-License-Identifier: Apache-2.0
// The life of a communicator in the C API.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "api/group_scope.h"
#include "api/guard.h"
#include "api/handles.h"
#include "base/failure.h"
#include "base/log.h"
#include "base/versioned_struct.h"
#include "comm/bootstrap.h"
#include "comm/loopback_group.h"

namespace signccl {
namespace {

Settings loadSettings() {
  Settings settings = Settings::load();
  configureLogging(settings);
  return settings;
}

CommOptions loadOptions(const CommOptions& base, const signcclConfig_t* config) {
  return makeOptions(base, config, loadSettings());
}

void checkRanks(int nranks, int rank) {
  if (nranks < 1 || nranks > kMaxRanks) {
    throw Error(signcclInvalidArgument,
                "nranks is " + std::to_string(nranks) + ", expected 1 to " + std::to_string(kMaxRanks));
  }
  if (rank < 0 || rank >= nranks) {
    throw Error(signcclInvalidArgument,
                "rank is " + std::to_string(rank) + ", expected 0 to " + std::to_string(nranks - 1));
  }
}

signcclComm_t makeHandle(std::unique_ptr<Communicator> comm) {
  return commHandles().insert(std::make_shared<CommHandle>(std::move(comm)));
}

/// Now, or at the end of the group.
void carryOut(GroupScope::Join join) {
  if (GroupScope::current().isOpen()) {
    GroupScope::current().noteJoin(std::move(join));
    return;
  }
  join.post();
  join.start();
  join.finish();
}

void initRank(signcclComm_t* comm, int nranks, const signcclUniqueId& id, int rank, const signcclConfig_t* config) {
  require(comm != nullptr, "comm is NULL");
  checkRanks(nranks, rank);
  const Settings settings = loadSettings();
  const CommOptions options = makeOptions({}, config, settings);
  const auto joining = std::make_shared<Joining>(joinOptions(nranks, id, rank, config, options, settings));
  const auto nothing = [] {};
  carryOut({nothing, nothing, [comm, options, joining] {
              std::unique_ptr<Group> group = joining->finish(std::chrono::steady_clock::now() + options.timeout);
              *comm = makeHandle(std::make_unique<Communicator>(std::move(group), options));
            }});
}

void initAll(signcclComm_t* comms, int nranks, const int* devlist) {
  require(comms != nullptr, "comms is NULL");
  require(devlist == nullptr, "devlist is not NULL, expected NULL: a call is made on the device of its buffers");
  checkRanks(nranks, 0);
  const CommOptions options = loadOptions({}, nullptr);
  std::vector<std::unique_ptr<Communicator>> made;
  for (auto& group : LoopbackGroup::makeAll(nranks, options.ranks_per_node)) {
    made.push_back(std::make_unique<Communicator>(std::move(group), options));
  }
  std::vector<signcclComm_t> handles;
  handles.reserve(made.size());
  try {
    for (auto& comm : made) handles.push_back(makeHandle(std::move(comm)));
  } catch (...) {
    for (const signcclComm_t handle : handles) commHandles().take(handle);
    throw;
  }
  std::ranges::copy(handles, comms);
}

/// A phase of a split of `comm`. Where memory or threads run out in it, the communicator fails, so that the other ranks
/// do not wait for this one.
template <typename Phase>
auto orFail(const CommPointer& comm, Phase phase) {
  return [comm, phase = std::move(phase)] {
    try {
      phase();
    } catch (...) {
      const Failure failure = failureOf(std::current_exception());
      if (failure.code == signcclSystemError) comm->comm->fail(failure);
      throw;
    }
  };
}

void split(signcclComm_t handle, int color, int key, signcclComm_t* newcomm, const signcclConfig_t* config) {
  require(newcomm != nullptr, "newcomm is NULL");
  CommPointer comm = findComm(handle);
  if (color < 0 && color != SIGNCCL_SPLIT_NOCOLOR) {
    throw Error(signcclInvalidArgument,
                "color is " + std::to_string(color) + ", expected >= 0 or SIGNCCL_SPLIT_NOCOLOR (-1)");
  }
  const CommOptions options = loadOptions(comm->comm->options(), config);
  GroupScope::Join join;
  join.post = orFail(comm, [comm, color, key, options] { comm->comm->postSplit(color, key, options); });
  join.start = orFail(comm, [comm] { comm->comm->joinSplit(); });
  join.finish = orFail(comm, [comm, newcomm] {
    std::unique_ptr<Communicator> made = comm->comm->awaitSplit();
    *newcomm = made ? makeHandle(std::move(made)) : nullptr;
  });
  carryOut(std::move(join));
}

/// Throws signcclInvalidUsage if an open group holds collectives of the communicator: `call` would end it before they
/// are carried out.
void refuseIfNoted(const CommHandle& comm, const char* call) {
  const int noted = comm.noted_calls.load(std::memory_order_acquire);
  if (noted == 0) return;
  throw Error(signcclInvalidUsage, "an open group holds " + std::to_string(noted) + " collective(s) of rank " +
                                       std::to_string(comm.comm->rank()) + ": call signcclGroupEnd() before " + call);
}

void destroy(signcclComm_t handle) {
  // A child after fork() only drops its copy of the handle: what is behind it belongs to the parent.
  if (handle != nullptr && commHandles().isOfParent(handle)) return;
  const CommPointer found = findComm(handle);
  if (!found->comm->failed()) refuseIfNoted(*found, "signcclCommDestroy()");
  // The error of a communicator that failed was reported before; here it would only hide that this call went well.
  if (guard(nullptr, [&] { found->comm->finalize(); }) != signcclSuccess) {
    log(LogLevel::kInfo, Subsystem::kDestroy, found->comm->rank(), "destroyed after a failure");
  }
  found->comm->leave();
  commHandles().take(handle);
}

void getStats(signcclComm_t handle, signcclCommStats_t* stats) {
  const CommPointer comm = findComm(handle);
  require(stats != nullptr, "stats is NULL");
  const CommCounters counters = comm->counters();
  signcclCommStats_t ours{};
  ours.collectives = counters.collectives;
  ours.exchanges = counters.exchanges;
  ours.bytesSent = counters.engine.messages.bytes_sent;
  ours.bytesReceived = counters.engine.messages.bytes_received;
  ours.messagesSent = counters.engine.messages.messages_sent;
  ours.messagesReceived = counters.engine.messages.messages_received;
  ours.scratchBytes = counters.engine.scratch_bytes;
  ours.algorithm = counters.last_algorithm ? algorithmName(*counters.last_algorithm).data() : "none";
  ours.kernels = comm->comm->options().kernels->name;
  writeVersioned(ours, stats, "stats");
}

}  // namespace
}  // namespace signccl

using namespace signccl;

signcclResult_t signcclGetUniqueId(signcclUniqueId* uniqueId) {
  return guard(nullptr, [&] {
    require(uniqueId != nullptr, "uniqueId is NULL");
    const Settings settings = loadSettings();
    *uniqueId = makeUniqueId(settings, makeOptions({}, nullptr, settings));
  });
}

signcclResult_t signcclCommInitRank(signcclComm_t* comm, int nranks, signcclUniqueId commId, int rank) {
  return guardGroupCall(nullptr, [&] { initRank(comm, nranks, commId, rank, nullptr); });
}

signcclResult_t signcclCommInitRankConfig(signcclComm_t* comm, int nranks, signcclUniqueId commId, int rank,
                                          const signcclConfig_t* config) {
  return guardGroupCall(nullptr, [&] { initRank(comm, nranks, commId, rank, config); });
}

signcclResult_t signcclCommInitAll(signcclComm_t* comms, int nranks, const int* devlist) {
  return guard(nullptr, [&] { initAll(comms, nranks, devlist); });
}

signcclResult_t signcclCommSplit(signcclComm_t comm, int color, int key, signcclComm_t* newcomm,
                                 const signcclConfig_t* config) {
  return guardGroupCall(comm, [&] { split(comm, color, key, newcomm, config); });
}

signcclResult_t signcclCommCount(signcclComm_t comm, int* count) {
  return guard(comm, [&] {
    const CommPointer found = findComm(comm);
    require(count != nullptr, "count is NULL");
    *count = found->comm->nranks();
  });
}

signcclResult_t signcclCommUserRank(signcclComm_t comm, int* rank) {
  return guard(comm, [&] {
    const CommPointer found = findComm(comm);
    require(rank != nullptr, "rank is NULL");
    *rank = found->comm->rank();
  });
}

signcclResult_t signcclCommFinalize(signcclComm_t comm) {
  return guard(comm, [&] {
    const CommPointer found = findComm(comm);
    refuseIfNoted(*found, "signcclCommFinalize()");
    found->comm->finalize();
  });
}

signcclResult_t signcclCommDestroy(signcclComm_t comm) {
  return guard(comm, [&] { destroy(comm); });
}

signcclResult_t signcclCommAbort(signcclComm_t comm) {
  return guard(comm, [&] { findComm(comm)->comm->abort(); });
}

signcclResult_t signcclCommAbortWithReason(signcclComm_t comm, const char* reason) {
  return guard(comm, [&] { findComm(comm)->comm->abort(reason == nullptr ? std::string_view{} : reason); });
}

signcclResult_t signcclCommGetAsyncError(signcclComm_t comm, signcclResult_t* asyncError) {
  return guard(comm, [&] {
    const CommPointer found = findComm(comm);
    require(asyncError != nullptr, "asyncError is NULL");
    *asyncError = found->comm->asyncError();
  });
}

signcclResult_t signcclCommGetCallNumber(signcclComm_t comm, uint64_t* callNumber) {
  return guard(comm, [&] {
    const CommPointer found = findComm(comm);
    require(callNumber != nullptr, "callNumber is NULL");
    *callNumber = found->comm->nextCallNumber();
  });
}

signcclResult_t signcclCommSetCallNumber(signcclComm_t comm, uint64_t callNumber) {
  return guard(comm, [&] {
    const CommPointer found = findComm(comm);
    refuseIfNoted(*found, "signcclCommSetCallNumber()");
    found->comm->setNextCallNumber(callNumber);
  });
}

signcclResult_t signcclCommGetStats(signcclComm_t comm, signcclCommStats_t* stats) {
  return guard(comm, [&] { getStats(comm, stats); });
}
