// SPDX-License-Identifier: Apache-2.0
#include "api/handles.h"

#include <new>
#include <unistd.h>

#include "base/error.h"

namespace signccl {

StreamRank& CommHandle::streamsOf(int device) {
  const auto known = streams_.find(device);
  if (known != streams_.end()) return known->second;
  try {
    auto shared = StreamDevice::get(device, comm->options().device);
    return streams_.try_emplace(device, *comm, replays_, std::move(shared)).first->second;
  } catch (...) {
    failForCuda(*comm, std::current_exception());
    throw;
  }
}

StreamEngine& CommHandle::engineOf(int device) {
  const auto known = engines_.find(device);
  if (known != engines_.end()) return *known->second;
  try {
    return *engines_.try_emplace(device, makeEngine(device)).first->second;
  } catch (...) {
    failForCuda(*comm, std::current_exception());
    throw;
  }
}

std::unique_ptr<StreamEngine> CommHandle::makeEngine(int device) {
  if (comm->options().device_transport == DeviceTransport::kHost)
    return std::make_unique<SlotEngine>(streamsOf(device));
  if (!engines_.empty()) {
    throw Error(signcclInvalidArgument, "the buffers are on device " + std::to_string(device) + ", and rank " +
                                            std::to_string(comm->rank()) + " is on device " +
                                            std::to_string(engines_.begin()->first) +
                                            " since its first call: with SIGNCCL_TRANSPORT=nccl a rank has one device");
  }
  return std::make_unique<NcclRank>(*comm, StreamDevice::get(device, comm->options().device));
}

void CommHandle::tellSum(const SumCall& sum, const Notes& notes) {
  std::optional<Misfit> misfit;
  if (!sum.fits(notes.own) && sum.keepsInput()) misfit = findMisfit(sum);
  tellOutcome(sum, notes, comm->rank(), misfit);
}

std::optional<Misfit> CommHandle::findMisfit(const SumCall& sum) {
  const Kernels& kernels = *comm->options().kernels;
  if (!sum.place.isOnStream()) return firstMisfit(kernels, sum.type, sum.sendbuff, sum.count, sum.votes_per_rank);
  const SummedElements summed{sum.type, sum.sendbuff, sum.count, sum.votes_per_rank};
  const std::optional<ElementSample> sample = streamsOf(sum.place.device).findMisfit(summed, sum.place.stream);
  if (!sample) return std::nullopt;
  std::optional<Misfit> misfit = firstMisfit(kernels, sum.type, sample->elements, sample->count, sum.votes_per_rank);
  if (misfit) misfit->index += sample->first;
  return misfit;
}

CommCounters CommHandle::counters() const {
  CommCounters counters = comm->counters();
  counters.add(replays_.counters());
  for (const auto& [device, engine] : engines_) counters.add(engine->counters());
  for (const auto& [device, rank] : streams_) counters.engine.scratch_bytes += rank.scratchBytes();
  return counters;
}

void CommHandle::noteError(const Failure& failure) noexcept {
  const bool has_failed = comm->failed();
  const std::lock_guard lock(error_mutex_);
  try {
    last_error_ = failure.message;
  } catch (const std::bad_alloc&) {
    last_error_.clear();  // the message of an earlier error would mislead
  }
  is_noted_since_failure_ = has_failed;
}

std::string CommHandle::lastError() const {
  const bool has_failed = comm->failed();
  {
    const std::lock_guard lock(error_mutex_);
    if (!has_failed || is_noted_since_failure_) return last_error_;
  }
  return comm->failure().message;
}

HandleTable<signcclComm_t, CommPointer>& commHandles() {
  static constinit PerProcess<HandleTable<signcclComm_t, CommPointer>> table;
  return table.get();
}

HandleTable<signcclRequest_t, PendingRequest>& requestHandles() {
  static constinit PerProcess<HandleTable<signcclRequest_t, PendingRequest>> table;
  return table.get();
}

CommPointer findComm(signcclComm_t comm) {
  require(comm != nullptr, "comm is NULL");
  return find(commHandles(), comm, "the communicator", "communicator");
}

void refuseOfParent(const char* what, std::uint8_t fork_depth) {
  throw Error(signcclInvalidUsage, std::string(what) + " belongs to process " +
                                       std::to_string(processAtForkDepth(fork_depth)) + "; process " +
                                       std::to_string(getpid()) +
                                       " is a child after fork(), which cannot use it: make a new communicator here");
}

}  // namespace signccl
