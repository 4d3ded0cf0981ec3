// SPDX-License-Identifier: Apache-2.0
// The wrapped calls that make, ask and end communicators.
#include <utility>

#include "nccl/back/inside.h"
#include "nccl/back/interposer.h"
#include "nccl/back/last_error.h"
#include "nccl/back/same_rules.h"

namespace signccl::nccl_preload {

int Interposer::ranksOf(Comm comm, Record& record) const {
  int nranks = record.nranks.load(std::memory_order_relaxed);
  if (nranks > 0) return nranks;
  const InsideNccl inside;
  if (callReal(nccl_.ncclCommCount, comm, &nranks) != Result::kSuccess) return 0;
  record.nranks.store(nranks, std::memory_order_relaxed);
  return nranks;
}

std::string Interposer::nameOf(Comm comm) const {
  const std::shared_ptr<Record> record = comms_.find(comm);
  return record ? record->name : std::string();
}

Result Interposer::made(Result result, Comm* handle, const Config* config, const std::string& inherited) {
  if (handle == nullptr || (result != Result::kSuccess && result != Result::kInProgress)) return result;
  lastErrorOfThread().clear();
  return guarded([&] {
    const std::string name = nameIn(config);
    comms_.expect(handle, name.empty() ? inherited : name);
    Group& group = groupOfThread();
    if (group.depth > 0) {
      group.handles.push_back(handle);
    } else if (result == Result::kSuccess) {
      comms_.settle(handle);
    }
    return result;
  });
}

Result Interposer::met(Result result, Comm* handle, const Config* config, const std::string& inherited) {
  result = made(result, handle, config, inherited);
  if (handle == nullptr || result != Result::kSuccess) return result;
  return guarded([&] {
    Group& group = groupOfThread();
    if (group.depth > 0) {
      group.strangers.push_back(handle);
    } else {
      compareRules({handle});
    }
    return result;
  });
}

Surroundings Interposer::surroundings() const {
  return {.nccl = nccl_,
          .log = *log_,
          .digest = settings_.digest(),
          .has_bad_rules = !settings_error_.empty(),
          .compares_names = compares_names_};
}

void Interposer::compareRules(const std::vector<Comm*>& handles) {
  const InsideNccl inside;
  std::vector<NewComm> comms;
  for (const Comm* handle : handles) {
    NewComm one{*handle, comms_.get(*handle)};
    if (ranksOf(one.comm, *one.record) > 1) comms.push_back(std::move(one));
  }
  if (comms.empty()) return;
  try {
    requireSameRules(surroundings(), comms, settings_.comparison_timeout);
  } catch (const Failure&) {
    for (const NewComm& one : comms) {
      comms_.take(one.comm);
      for (Comm* handle : handles) {
        if (*handle == one.comm) *handle = nullptr;
      }
    }
    if (!settings_error_.empty()) throw Failure(Result::kInvalidUsage, settings_error_);
    throw;
  }
}

/// All ranks are of this process and have one set of rules.
Result Interposer::initAll(Comm* comms, int ndevices, const int* devices) {
  const InsideNccl inside;
  return callReal(nccl_.ncclCommInitAll, comms, ndevices, devices);
}

Result Interposer::initRank(Comm* comm, int nranks, const UniqueId& id, int rank) {
  const bool is_inside = InsideNccl::is();
  const InsideNccl inside;
  const Result result = callReal(nccl_.ncclCommInitRank, comm, nranks, id, rank);
  return is_inside ? result : met(result, comm, nullptr, {});
}

Result Interposer::initRankConfig(Comm* comm, int nranks, const UniqueId& id, int rank, Config* config) {
  const bool is_inside = InsideNccl::is();
  const InsideNccl inside;
  const Result result = callReal(nccl_.ncclCommInitRankConfig, comm, nranks, id, rank, config);
  return is_inside ? result : met(result, comm, config, {});
}

Result Interposer::initRankScalable(Comm* comm, int nranks, int rank, int nids, UniqueId* ids, Config* config) {
  const bool is_inside = InsideNccl::is();
  const InsideNccl inside;
  const Result result = callReal(nccl_.ncclCommInitRankScalable, comm, nranks, rank, nids, ids, config);
  return is_inside ? result : met(result, comm, config, {});
}

Result Interposer::split(Comm comm, int color, int key, Comm* newcomm, Config* config) {
  const bool is_inside = InsideNccl::is();
  const InsideNccl inside;
  const Result result = callReal(nccl_.ncclCommSplit, comm, color, key, newcomm, config);
  // Without a configuration the new communicator has that of the old one, its name included.
  return is_inside ? result : made(result, newcomm, config, config == nullptr ? nameOf(comm) : std::string());
}

Result Interposer::shrink(Comm comm, int* excluded, int nexcluded, Comm* newcomm, Config* config, int flags) {
  const bool is_inside = InsideNccl::is();
  const InsideNccl inside;
  const Result result = callReal(nccl_.ncclCommShrink, comm, excluded, nexcluded, newcomm, config, flags);
  return is_inside ? result : made(result, newcomm, config, config == nullptr ? nameOf(comm) : std::string());
}

Result Interposer::grow(Comm comm, int nranks, const UniqueId* id, int rank, Comm* newcomm, Config* config) {
  const bool is_inside = InsideNccl::is();
  const InsideNccl inside;
  const Result result = callReal(nccl_.ncclCommGrow, comm, nranks, id, rank, newcomm, config);
  const bool inherits = config == nullptr && comm != nullptr;
  return is_inside ? result : met(result, newcomm, config, inherits ? nameOf(comm) : std::string());
}

Result Interposer::destroy(Comm comm) {
  const InsideNccl inside;
  // Before the real call, after which another communicator may get the address. Calls that wait in a group keep the
  // mirror until they are issued.
  if (std::shared_ptr<Record> record = comms_.take(comm)) record->close();
  return callReal(nccl_.ncclCommDestroy, comm);
}

Result Interposer::abort(Comm comm) {
  const InsideNccl inside;
  if (const std::shared_ptr<Record> record = comms_.take(comm)) record->abort();
  return callReal(nccl_.ncclCommAbort, comm);
}

Result Interposer::finalize(Comm comm) {
  const InsideNccl inside;
  if (const std::shared_ptr<Record> record = comms_.find(comm)) record->close();
  return callReal(nccl_.ncclCommFinalize, comm);
}

Result Interposer::revoke(Comm comm, int flags) {
  const InsideNccl inside;
  const Result result = callReal(nccl_.ncclCommRevoke, comm, flags);
  // Made if there is none, so that calls are not taken afterwards either.
  if (result == Result::kSuccess || result == Result::kInProgress) comms_.get(comm)->abort();
  return result;
}

Result Interposer::getAsyncError(Comm comm, Result* error) {
  const bool is_inside = InsideNccl::is();
  const InsideNccl inside;
  const Result result = callReal(nccl_.ncclCommGetAsyncError, comm, error);
  if (is_inside || result != Result::kSuccess || *error != Result::kSuccess) return result;
  if (const std::shared_ptr<Record> record = comms_.find(comm)) *error = record->asyncError();
  return result;
}

const char* Interposer::getLastError(Comm comm) {
  if (InsideNccl::is()) return nccl_.ncclGetLastError == nullptr ? "" : nccl_.ncclGetLastError(comm);
  std::string& text = lastErrorOfThread();
  // A failure that another thread has met: a watchdog asks why.
  const std::shared_ptr<Record> record = text.empty() ? comms_.find(comm) : nullptr;
  if (const auto failure = record ? record->failure() : std::nullopt) {
    text = std::string("SignCCL: ") + failure->what();
  }
  if (!text.empty()) return text.c_str();
  const InsideNccl inside;
  return nccl_.ncclGetLastError == nullptr ? "" : nccl_.ncclGetLastError(comm);
}

}  // namespace signccl::nccl_preload
