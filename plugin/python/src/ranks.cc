// SPDX-License-Identifier: Apache-2.0
#include "ranks.h"

#include <algorithm>
#include <map>
#include <utility>

#include "arrays.h"
#include "handlers.h"

namespace signccl::jax {
namespace {

namespace ffi = xla::ffi;

struct Table {
  std::mutex mutex;
  std::map<std::int64_t, std::shared_ptr<LocalRanks>> ranks;
  std::int64_t next = 0;  ///< numbers are not used again: a program may outlive a communicator
};

/// Never destroyed: threads of XLA may call while the process ends.
Table& table() {
  static auto* const the_table = new Table;
  return *the_table;
}

/// A pointer that all calls under way share with the table, from which the ranks may be removed meanwhile.
std::shared_ptr<LocalRanks> findRanks(std::int64_t ranks) {
  const std::lock_guard lock(table().mutex);
  const auto found = table().ranks.find(ranks);
  return found == table().ranks.end() ? nullptr : found->second;
}

}  // namespace

HeldRank* LocalRanks::find(std::int32_t rank, CallingDevice device) const {
  if (rank < 0 && held_.size() == 1) return held_.front().get();
  for (const auto& held : held_) {
    const bool is_it = rank == kRankOfDevice ? held->device >= 0 && held->device == device.number : held->rank == rank;
    if (is_it) return held.get();
  }
  return nullptr;
}

std::string LocalRanks::describe() const {
  std::string text = held_.size() == 1 ? "rank" : "ranks";
  for (const auto& held : held_) {
    text += (held == held_.front() ? " " : ", ") + std::to_string(held->rank);
  }
  return text;
}

bool LocalRanks::isBusy() const {
  return std::ranges::any_of(held_, [](const auto& held) { return held->is_busy.load(); });
}

void LocalRanks::end() const {
  for (const auto& held : held_) {
    const std::lock_guard wait(held->mutex);
    held->lions.clear();
  }
}

void LocalRanks::refuse(const std::string& text) {
  {
    const std::lock_guard lock(refusal_mutex_);
    if (!refusal_) refusal_ = text;
  }
  for (const auto& held : held_) signcclCommAbort(held->comm);
}

std::optional<std::string> LocalRanks::refusal() const {
  const std::lock_guard lock(refusal_mutex_);
  return refusal_;
}

RankLock::RankLock(std::int64_t ranks, std::int32_t rank, CallingDevice device) : ranks_(findRanks(ranks)) {
  if (!ranks_) {
    refusal_.emplace(ffi::ErrorCode::kFailedPrecondition,
                     "the communicator of this program is closed; give the function a new one, and it is traced again");
    return;
  }
  HeldRank* const held = ranks_->find(rank, device);
  if (held == nullptr) {
    const std::string who = rank == kRankOfDevice ? "device " + std::to_string(device.number) + " takes part"
                                                  : "a device takes part as rank " + std::to_string(rank);
    refuse(who + ", but this process holds " + ranks_->describe() +
           ": give device_communicators() the devices in the order of the axis");
    return;
  }
  std::int32_t owner = -1;
  if (rank < 0 && !held->owner.compare_exchange_strong(owner, device.number) && owner != device.number) {
    refuse(
        "device " + std::to_string(device.number) + " uses the communicator of " + ranks_->describe() +
        ", which device " + std::to_string(owner) +
        " uses, expected one device for each rank: device_communicators() makes ranks for all devices, and axis_name= "
        "says which is which");
    return;
  }
  lock_ = std::unique_lock(held->mutex);
  held->is_busy = true;
  held_ = held;
}

RankLock::~RankLock() {
  if (held_ != nullptr) held_->is_busy = false;
}

void RankLock::refuse(const std::string& text) {
  refusal_.emplace(ffi::ErrorCode::kFailedPrecondition, text);
  ranks_->refuse(text);
}

ffi::Error RankLock::errorOf(signcclResult_t result) const {
  if (result != signcclSuccess) {
    const std::optional<std::string> cause = ranks_->refusal();
    if (cause) return {ffi::ErrorCode::kFailedPrecondition, *cause};
  }
  return jax::errorOf(result);
}

CallNumber::CallNumber(signcclComm_t comm, std::optional<std::uint64_t> number) : comm_(comm) {
  std::uint64_t before = 0;
  if (!number || signcclCommGetCallNumber(comm, &before) != signcclSuccess) return;
  if (signcclCommSetCallNumber(comm, *number) == signcclSuccess) before_ = before;
}

CallNumber::~CallNumber() {
  if (before_) signcclCommSetCallNumber(comm_, *before_);
}

}  // namespace signccl::jax

using namespace signccl::jax;

std::int64_t signcclJaxAddRanks(const signcclComm_t* comms, const int* ranks, const int* devices, std::size_t n) {
  auto added = std::make_shared<LocalRanks>();
  for (std::size_t i = 0; i < n; ++i) added->add(comms[i], ranks[i], devices[i]);
  const std::lock_guard lock(table().mutex);
  table().ranks.emplace(table().next, std::move(added));
  return table().next++;
}

int signcclJaxAreRanksBusy(std::int64_t number) {
  const auto ranks = findRanks(number);
  return ranks && ranks->isBusy() ? 1 : 0;
}

void signcclJaxRemoveRanks(std::int64_t number) {
  const auto removed = findRanks(number);
  if (!removed) return;
  {
    const std::lock_guard lock(table().mutex);
    table().ranks.erase(number);
  }
  removed->end();
}
