// SPDX-License-Identifier: Apache-2.0
// How communicators are made and how they end.
#include <chrono>
#include <cstring>

#include "fake_cuda/driver_api.h"
#include "fake_nccl/nccl_api.h"
#include "fake_nccl/state.h"

namespace fake_nccl {

NcclResult join(State& all, std::unique_lock<std::mutex>& lock, const Place& place, NcclHandle* handle) {
  Meeting& meeting = *place.meeting;
  if (place.rank < 0 || place.rank >= place.nranks || (meeting.nranks != 0 && meeting.nranks != place.nranks)) {
    violate(all, "ranks do not fit the number of ranks");
  }
  auto comm = std::make_shared<Communicator>();
  lock.unlock();
  if (signccl::cuCtxGetDevice(&comm->device) != signccl::CudaResult::kSuccess ||
      signccl::cuDevicePrimaryCtxRetain(&comm->context, comm->device) != signccl::CudaResult::kSuccess) {
    lock.lock();
    throw Refusal{NcclResult::kUnhandledCudaError};
  }
  lock.lock();
  for (const auto& [other_handle, other] : all.communicators) {
    const bool is_shared = other->meeting == place.meeting && other->device == comm->device;
    if (is_shared && all.version < 23003) violate(all, "two ranks share a device");
  }
  meeting.nranks = place.nranks;
  ++meeting.arrived;
  comm->meeting = place.meeting;
  comm->rank = place.rank;
  comm->is_blocking = place.is_blocking;
  const auto made = reinterpret_cast<NcclHandle>(++all.last_number);
  all.communicators[made] = comm;
  all.changed.notify_all();
  // As NCCL does, which writes the handle of a group at its end.
  if (place.is_blocking && deferToGroupEnd(handle, made, place.meeting)) return NcclResult::kSuccess;
  *handle = made;
  if (!place.is_blocking) return noteUnfinished() ? NcclResult::kSuccess : NcclResult::kInProgress;
  all.changed.wait(lock, [&] { return meeting.arrived == place.nranks; });
  return NcclResult::kSuccess;
}

}  // namespace fake_nccl

namespace signccl {

using fake_nccl::call;
using fake_nccl::Communicator;
using fake_nccl::communicatorOf;
using fake_nccl::Refusal;
using fake_nccl::State;
using fake_nccl::violate;

namespace {

NcclResult stateOf(const Communicator& comm) {
  if (comm.error != NcclResult::kSuccess) return comm.error;
  const bool is_made = comm.meeting->arrived == comm.meeting->nranks;
  return is_made ? NcclResult::kSuccess : NcclResult::kInProgress;
}

/// Ends a communicator, as far as the user sees it.
NcclResult take(NcclHandle handle, bool is_abort) {
  State& all = fake_nccl::state();
  std::unique_lock lock(all.mutex);
  try {
    const std::shared_ptr<Communicator> comm = communicatorOf(all, handle);
    all.communicators.erase(handle);
    if (is_abort) {
      comm->is_aborted = true;
      ++all.naborted;
    } else if (comm->ntasks > 0 || !comm->pending.empty()) {
      all.violations.emplace_back("a communicator is destroyed whose calls have not ended");
    }
    all.changed.notify_all();
    // As NCCL does, which keeps what graphs refer to.
    ++all.nending;
    all.changed.wait(lock, [&] { return comm->ngraphs == 0; });
    --all.nending;
    all.changed.notify_all();
    lock.unlock();
    // Again, if a test lets it fail.
    if (cuDevicePrimaryCtxRelease_v2(comm->device) != CudaResult::kSuccess) cuDevicePrimaryCtxRelease_v2(comm->device);
    return NcclResult::kSuccess;
  } catch (const Refusal& refusal) {
    return refusal.result;
  }
}

}  // namespace

NcclResult ncclGetVersion(int* version) {
  const std::lock_guard lock(fake_nccl::state().mutex);
  *version = fake_nccl::state().version;
  return NcclResult::kSuccess;
}

NcclResult ncclGetUniqueId(NcclUniqueId* id) {
  return call([&](State& all, auto& /*lock*/) {
    *id = {};
    const std::string name = "fake " + std::to_string(++all.last_number);
    std::memcpy(id->internal, name.c_str(), name.size());
    all.meetings[name] = std::make_shared<fake_nccl::Meeting>();
    return NcclResult::kSuccess;
  });
}

NcclResult ncclCommInitRankConfig(NcclHandle* handle, int nranks, NcclUniqueId id, int rank, NcclConfig* config) {
  return call([&](State& all, auto& lock) {
    const auto found = all.meetings.find(id.internal);
    if (found == all.meetings.end()) violate(all, "a communicator is made with an id that is none");
    if (config->size < sizeof(NcclConfig) || config->magic != kNcclConfigMagic || config->version < 21801) {
      violate(all, "a configuration is malformed");
    }
    const fake_nccl::Place place{found->second, nranks, rank, config->blocking != 0};
    return fake_nccl::join(all, lock, place, handle);
  });
}

NcclResult ncclCommDestroy(NcclHandle handle) { return take(handle, false); }
NcclResult ncclCommAbort(NcclHandle handle) { return take(handle, true); }

NcclResult ncclCommGetAsyncError(NcclHandle handle, NcclResult* error) {
  State& all = fake_nccl::state();
  std::unique_lock lock(all.mutex);
  try {
    const std::shared_ptr<Communicator> comm = communicatorOf(all, handle);
    *error = stateOf(*comm);
    if (*error == NcclResult::kSuccess) *error = fake_nccl::advance(all, lock, *comm, comm);
    return NcclResult::kSuccess;
  } catch (const Refusal& refusal) {
    return refusal.result;
  }
}

const char* ncclGetErrorString(NcclResult result) {
  switch (result) {
    case NcclResult::kSuccess:
      return "no error";
    case NcclResult::kUnhandledCudaError:
      return "unhandled cuda error";
    case NcclResult::kSystemError:
      return "unhandled system error";
    case NcclResult::kInternalError:
      return "internal error";
    case NcclResult::kInvalidArgument:
      return "invalid argument";
    case NcclResult::kInvalidUsage:
      return "invalid usage";
    case NcclResult::kRemoteError:
      return "remote process exited or there was a network error";
    case NcclResult::kInProgress:
      return "NCCL operation in progress";
  }
  return "unknown result code";
}

const char* ncclGetLastError(NcclHandle /*comm*/) { return ""; }

}  // namespace signccl
