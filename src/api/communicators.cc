// The life of a communicator in the C API.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "api/group_scope.h"
#include "api/guard.h"
#include "api/handles.h"
#include "base/log.h"
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
  join.start();
  join.finish();
}

void initRank(signcclComm_t* comm, int nranks, const signcclUniqueId& id, int rank, const signcclConfig_t* config) {
  require(comm != nullptr, "comm is NULL");
  checkRanks(nranks, rank);
  const Settings settings = loadSettings();
  const CommOptions options = makeOptions({}, config, settings);
  const auto joining = std::make_shared<Joining>(joinOptions(nranks, id, rank, config, options, settings));
  carryOut({[] {},
            [comm, options, joining] {
              std::unique_ptr<Group> group = joining->finish(std::chrono::steady_clock::now() + options.timeout);
              *comm = makeHandle(std::make_unique<Communicator>(std::move(group), options));
            }});
}

void initAll(signcclComm_t* comms, int nranks, const int* devlist) {
  require(comms != nullptr, "comms is NULL");
  require(devlist == nullptr, "devlist is not NULL: this build serves host buffers only");
  checkRanks(nranks, 0);
  const CommOptions options = loadOptions({}, nullptr);
  std::vector<std::unique_ptr<Communicator>> made;
  for (auto& group : LoopbackGroup::makeAll(nranks, options.ranks_per_node)) {
    made.push_back(std::make_unique<Communicator>(std::move(group), options));
  }
  for (std::size_t rank = 0; rank < made.size(); ++rank) comms[rank] = makeHandle(std::move(made[rank]));
}

void split(signcclComm_t handle, int color, int key, signcclComm_t* newcomm, const signcclConfig_t* config) {
  require(newcomm != nullptr, "newcomm is NULL");
  CommPointer comm = findComm(handle);
  if (color < 0 && color != SIGNCCL_SPLIT_NOCOLOR) {
    throw Error(signcclInvalidArgument,
                "color is " + std::to_string(color) + ", expected >= 0 or SIGNCCL_SPLIT_NOCOLOR (-1)");
  }
  comm->comm->postSplit(color, key, loadOptions(comm->comm->options(), config));
  carryOut({[comm] { comm->comm->joinSplit(); },
            [comm, newcomm] {
              std::unique_ptr<Communicator> made = comm->comm->awaitSplit();
              *newcomm = made ? makeHandle(std::move(made)) : nullptr;
            }});
}

void getStats(signcclComm_t handle, signcclCommStats_t* stats) {
  const CommPointer comm = findComm(handle);
  require(stats != nullptr, "stats is NULL");
  if (stats->size != sizeof(signcclCommStats_t)) {
    throw Error(signcclInvalidArgument, "stats->size is " + std::to_string(stats->size) + ", expected " +
                                            std::to_string(sizeof(signcclCommStats_t)));
  }
  const CommCounters counters = comm->comm->counters();
  stats->collectives = counters.collectives;
  stats->exchanges = counters.exchanges;
  stats->bytesSent = counters.transport.bytes_sent;
  stats->bytesReceived = counters.transport.bytes_received;
  stats->messagesSent = counters.transport.messages_sent;
  stats->messagesReceived = counters.transport.messages_received;
  stats->scratchBytes = counters.scratch_bytes;
  stats->algorithm = counters.last_algorithm ? algorithmName(*counters.last_algorithm).data() : "none";
  stats->kernels = comm->comm->options().kernels->name;
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
  return guard(nullptr, [&] { initRank(comm, nranks, commId, rank, nullptr); });
}

signcclResult_t signcclCommInitRankConfig(signcclComm_t* comm, int nranks, signcclUniqueId commId, int rank,
                                          const signcclConfig_t* config) {
  return guard(nullptr, [&] { initRank(comm, nranks, commId, rank, config); });
}

signcclResult_t signcclCommInitAll(signcclComm_t* comms, int nranks, const int* devlist) {
  return guard(nullptr, [&] { initAll(comms, nranks, devlist); });
}

signcclResult_t signcclCommSplit(signcclComm_t comm, int color, int key, signcclComm_t* newcomm,
                                 const signcclConfig_t* config) {
  return guard(comm, [&] { split(comm, color, key, newcomm, config); });
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
  return guard(comm, [&] { findComm(comm)->comm->finalize(); });
}

signcclResult_t signcclCommDestroy(signcclComm_t comm) {
  return guard(comm, [&] {
    const CommPointer found = findComm(comm);
    // The error of a communicator that failed was reported before; here it would only hide that this call went well.
    if (guard(nullptr, [&] { found->comm->finalize(); }) != signcclSuccess) {
      log(LogLevel::kInfo, Subsystem::kDestroy, found->comm->rank(), "destroyed after a failure");
    }
    found->comm->leave();
    commHandles().take(comm);
  });
}

signcclResult_t signcclCommAbort(signcclComm_t comm) {
  return guard(comm, [&] { findComm(comm)->comm->abort(); });
}

signcclResult_t signcclCommGetAsyncError(signcclComm_t comm, signcclResult_t* asyncError) {
  return guard(comm, [&] {
    const CommPointer found = findComm(comm);
    require(asyncError != nullptr, "asyncError is NULL");
    *asyncError = found->comm->asyncError();
  });
}

signcclResult_t signcclCommGetStats(signcclComm_t comm, signcclCommStats_t* stats) {
  return guard(comm, [&] { getStats(comm, stats); });
}
