// SPDX-License-Identifier: Apache-2.0
#include "nccl/nccl_communicator.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/exit_gate.h"
#include "base/log.h"
#include "nccl/nccl_error.h"

namespace signccl {
namespace {

/// How often the thread looks for errors that NCCL has met since.
constexpr std::chrono::milliseconds kErrorPeriod{100};
/// How often it looks whether the caller's communicator has split.
constexpr std::chrono::milliseconds kSplitPeriod{1};

NcclConfig configWithoutBlocking() {
  NcclConfig config{};
  config.size = sizeof(config);
  config.magic = kNcclConfigMagic;
  config.version = kOldestNccl;
  config.blocking = 0;
  config.cga_cluster_size = kNcclUndefined;
  config.min_ctas = kNcclUndefined;
  config.max_ctas = kNcclUndefined;
  config.net_name = nullptr;
  config.split_share = kNcclUndefined;
  return config;
}

}  // namespace

std::shared_ptr<NcclCommunicator> NcclCommunicator::make(const NcclLibrary& nccl, std::shared_ptr<Device> device,
                                                         std::function<void(const Failure&)> onError) {
  std::shared_ptr<NcclCommunicator> made(new NcclCommunicator(nccl, std::move(device), std::move(onError)));
  std::thread([made] { made->keep(); }).detach();
  return made;
}

void LeaveNccl::operator()(NcclCommunicator* communicator) const noexcept { communicator->leave(); }

NcclVisit NcclCommunicator::enter() {
  const std::lock_guard lock(mutex_);
  if (is_over_) throw Error(signcclRemoteError, "the communicator of NCCL is being aborted");
  ++nvisits_;
  return NcclVisit(this);
}

void NcclCommunicator::leave() noexcept {
  const std::lock_guard lock(mutex_);
  if (--nvisits_ == 0 && is_over_) changed_.notify_all();
}

NcclHandle NcclCommunicator::handle() {
  const std::lock_guard lock(mutex_);
  return handle_;
}

void NcclCommunicator::begin(int nranks, const NcclUniqueId& id, int rank) {
  NcclConfig config = configWithoutBlocking();
  NcclHandle made = nullptr;
  const NcclResult result = nccl_.ncclCommInitRankConfig(&made, nranks, id, rank, &config);
  {
    const std::lock_guard lock(mutex_);
    handle_ = made;
  }
  checkNccl(nccl_, result, "ncclCommInitRankConfig", nullptr);
}

void NcclCommunicator::beginSplit(NcclHandle parent, int rank) {
  const std::lock_guard lock(mutex_);
  parent_ = parent;
  split_rank_ = rank;
  changed_.notify_all();
}

/// Of the thread. Without the lock for as long as it lasts.
void NcclCommunicator::split() noexcept {
  std::unique_lock lock(mutex_);
  const NcclHandle parent = parent_;
  const int rank = split_rank_;
  lock.unlock();
  NcclHandle made = nullptr;
  std::exception_ptr error;
  try {
    made = splitOff(parent, rank);
  } catch (...) {
    error = std::current_exception();
  }
  lock.lock();
  parent_ = nullptr;
  handle_ = made;
  split_error_ = error;
}

/// NCCL writes the handle when the new communicator is there, perhaps after the call has returned.
NcclHandle NcclCommunicator::splitOff(NcclHandle parent, int rank) {
  const ContextScope scope(*device_);
  NcclConfig config = configWithoutBlocking();
  config.split_share = 0;  // an abort of ours must not be one of the caller's
  NcclHandle made = nullptr;
  NcclResult state = nccl_.ncclCommSplit(parent, 0, rank, &made, &config);
  while (state == NcclResult::kInProgress && std::atomic_ref(made).load(std::memory_order_acquire) == nullptr) {
    std::this_thread::sleep_for(kSplitPeriod);
    checkNccl(nccl_, nccl_.ncclCommGetAsyncError(parent, &state), "ncclCommGetAsyncError", parent);
  }
  checkNccl(nccl_, state, "ncclCommSplit", parent);
  return std::atomic_ref(made).load(std::memory_order_acquire);
}

bool NcclCommunicator::isSettled() {
  const NcclVisit visit = enter();
  {
    const std::lock_guard lock(mutex_);
    if (parent_ != nullptr) return false;
    if (split_error_) std::rethrow_exception(split_error_);
  }
  const NcclHandle made = handle();
  if (made == nullptr) return true;
  NcclResult state = NcclResult::kSuccess;
  checkNccl(nccl_, nccl_.ncclCommGetAsyncError(made, &state), "ncclCommGetAsyncError", made);
  checkNccl(nccl_, state, "a call of NCCL", made);
  return state == NcclResult::kSuccess;
}

void NcclCommunicator::noteCall() noexcept {
  const std::lock_guard lock(mutex_);
  if (ncalls_++ == 0) changed_.notify_all();
}

void NcclCommunicator::noteEnd() noexcept {
  const std::lock_guard lock(mutex_);
  --ncalls_;
}

void NcclCommunicator::abort() noexcept {
  const std::lock_guard lock(mutex_);
  has_to_abort_ = true;
  changed_.notify_all();
}

void NcclCommunicator::watch(std::function<Look()> look) {
  const std::lock_guard lock(mutex_);
  look_ = std::move(look);
  changed_.notify_all();
}

void NcclCommunicator::close(std::chrono::milliseconds longest) noexcept {
  std::unique_lock lock(mutex_);
  on_error_ = nullptr;
  look_ = nullptr;
  has_to_close_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, longest, [&] { return is_finished_; });
}

void NcclCommunicator::keep() noexcept {
  std::unique_lock lock(mutex_);
  const auto has_to_end = [&] { return has_to_abort_ || has_to_close_; };
  while (!has_to_end()) {
    if (parent_ != nullptr) {
      lock.unlock();
      split();
      lock.lock();
      continue;
    }
    if (ncalls_ == 0 && !look_) {
      changed_.wait(lock);
      continue;
    }
    if (changed_.wait_for(lock, kErrorPeriod, has_to_end)) break;
    lock.unlock();
    lookForErrors();
    const ExitGate::Pass pass;  // before the lock: at exit the thread may stay here
    lock.lock();
    lookElsewhere();
  }
  const bool has_to_abort = has_to_abort_;
  lock.unlock();
  finish(has_to_abort);
  lock.lock();
  // Whoever had this communicator may still make calls, which are refused; nothing is left to be done.
  is_finished_ = true;
  changed_.notify_all();
}

void NcclCommunicator::lookForErrors() noexcept {
  try {
    isSettled();
  } catch (...) {
    // Under the lock, so that the callee lives: close() takes it away.
    const std::lock_guard lock(mutex_);
    if (on_error_ && !has_to_abort_) std::exchange(on_error_, nullptr)(failureOf(std::current_exception()));
  }
}

/// With the lock, so that the callee lives.
void NcclCommunicator::lookElsewhere() noexcept {
  if (!look_ || has_to_abort_) return;
  const Look found = look_();
  if (found == Look::kGoOn) return;
  look_ = nullptr;
  has_to_abort_ = found == Look::kAbort;
}

/// Without the lock: NCCL may take as long as it likes.
void NcclCommunicator::finish(bool has_to_abort) noexcept {
  NcclHandle handle = nullptr;
  {
    std::unique_lock lock(mutex_);
    is_over_ = true;
    changed_.wait(lock, [&] { return nvisits_ == 0; });
    handle = std::exchange(handle_, nullptr);
  }
  const std::shared_ptr<Device> device = std::move(device_);
  if (handle == nullptr) return;
  releaseIn(*device, [&](const CudaDriver& /*driver*/) {
    const NcclResult result = has_to_abort ? nccl_.ncclCommAbort(handle) : nccl_.ncclCommDestroy(handle);
    if (result == NcclResult::kSuccess || result == NcclResult::kInProgress) return;
    log(LogLevel::kInfo, Subsystem::kDestroy, kNoRank, has_to_abort ? "ncclCommAbort" : "ncclCommDestroy", " on ",
        *device, ": ", nccl_.ncclGetErrorString(result));
  });
}

}  // namespace signccl
