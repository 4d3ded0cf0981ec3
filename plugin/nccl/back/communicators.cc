// SPDX-License-Identifier: Apache-2.0
// The wrapped calls that make, ask and end communicators.
#include <memory>
#include <utility>

#include "nccl/back/background_comparison.h"
#include "nccl/back/inside.h"
#include "nccl/back/interposer.h"
#include "nccl/back/last_error.h"
#include "nccl/back/same_rules.h"
#include "nccl/back/waiting.h"

namespace signccl::nccl_preload {
namespace {

/// Before NCCL writes the handle, which it does later where it does not block.
void clear(Comm* handle) {
  if (handle != nullptr) *handle = nullptr;
}

}  // namespace

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
  if (handle == nullptr || (result != Result::kSuccess && result != Result::kInProgress)) return result;
  return guarded([&] {
    Group& group = groupOfThread();
    if (group.depth > 0) {
      group.strangers.push_back(handle);
    } else if (result == Result::kSuccess) {
      compareRules({handle});
    } else {
      compareRulesLater({handle});
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
  std::vector<Candidate> comms;
  for (const Comm* handle : handles) {
    Candidate one{*handle, comms_.get(*handle), nullptr};
    if (ranksOf(one.comm, *one.record) > 1) comms.push_back(std::move(one));
  }
  if (comms.empty()) return;
  try {
    requireSameRules(surroundings(), comms, settings_.comparison_timeout);
  } catch (const Failure&) {
    for (const Candidate& one : comms) {
      comms_.take(one.comm);
      for (Comm* handle : handles) {
        if (*handle == one.comm) *handle = nullptr;
      }
    }
    if (!settings_error_.empty()) throw Failure(Result::kInvalidUsage, settings_error_);
    throw;
  }
}

void Interposer::compareRulesLater(const std::vector<Comm*>& handles) {
  for (const Comm* handle : handles) {
    const Comm comm = *handle;
    if (comm == nullptr) continue;
    Record& record = *comms_.get(comm);
    ++unsettled_comparisons_;
    record.setComparison(std::make_unique<BackgroundComparison>(
        surroundings(), comm, record, settings_.comparison_timeout, [this, &record](const std::optional<Failure>& why) {
          if (!why || record.isAborted()) {
            --unsettled_comparisons_;
            return;
          }
          const Failure failure = settings_error_.empty() ? *why : Failure(Result::kInvalidUsage, settings_error_);
          record.fail(failure);
          failed(failure.result(), failure.what());
        }));
  }
}

void Interposer::awaitComparison(Comm comm) {
  const std::shared_ptr<Record> record = comms_.get(comm);
  const Wait wait{*record, nullptr, "the rules of the other ranks", ""};
  waitUntil(wait, [&] { return !record->isComparing(); });
  if (const auto failure = record->failure()) throw Failure(*failure);
}

/// All ranks are of this process and have one set of rules.
Result Interposer::initAll(Comm* comms, int ndevices, const int* devices) {
  const InsideNccl inside;
  return callReal(nccl_.ncclCommInitAll, comms, ndevices, devices);
}

Result Interposer::initRank(Comm* comm, int nranks, const UniqueId& id, int rank) {
  const bool is_inside = InsideNccl::is();
  const InsideNccl inside;
  clear(comm);
  const Result result = callReal(nccl_.ncclCommInitRank, comm, nranks, id, rank);
  return is_inside ? result : met(result, comm, nullptr, {});
}

Result Interposer::initRankConfig(Comm* comm, int nranks, const UniqueId& id, int rank, Config* config) {
  const bool is_inside = InsideNccl::is();
  const InsideNccl inside;
  clear(comm);
  const Result result = callReal(nccl_.ncclCommInitRankConfig, comm, nranks, id, rank, config);
  return is_inside ? result : met(result, comm, config, {});
}

Result Interposer::initRankScalable(Comm* comm, int nranks, int rank, int nids, UniqueId* ids, Config* config) {
  const bool is_inside = InsideNccl::is();
  const InsideNccl inside;
  clear(comm);
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
  clear(newcomm);
  const Result result = callReal(nccl_.ncclCommGrow, comm, nranks, id, rank, newcomm, config);
  const bool inherits = config == nullptr && comm != nullptr;
  return is_inside ? result : met(result, newcomm, config, inherits ? nameOf(comm) : std::string());
}

Result Interposer::destroy(Comm comm) {
  const InsideNccl inside;
  // Before the real call, after which another communicator may get the address. Calls that wait in a group keep the
  // mirror until they are issued.
  std::shared_ptr<Record> record = comms_.take(comm);
  if (!record) return callReal(nccl_.ncclCommDestroy, comm);
  record->close();
  const bool is_left_waiting = record->isLeftWaiting();
  if (record->isComparing()) record->abort();
  record->endComparison();
  record.reset();  // ends the mirror, before the communicator does
  // NCCL would wait for ever for the rank that has not come to compare.
  return callReal(is_left_waiting ? nccl_.ncclCommAbort : nccl_.ncclCommDestroy, comm);
}

Result Interposer::abort(Comm comm) {
  const InsideNccl inside;
  if (const std::shared_ptr<Record> record = comms_.take(comm)) {
    record->abort();
    record->endComparison();
  }
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
  const bool is_error = *error != Result::kSuccess && *error != Result::kInProgress;
  const std::shared_ptr<Record> record =
      is_inside || result != Result::kSuccess || is_error ? nullptr : comms_.find(comm);
  if (!record) return result;
  if (record->isComparing()) {
    *error = Result::kInProgress;
  } else if (*error == Result::kSuccess || record->isLeftWaiting()) {
    // Left waiting, NCCL would be in progress for ever.
    *error = record->asyncError();
  }
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
