#include "ranks.h"

#include <algorithm>
#include <map>
#include <utility>

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

}  // namespace

HeldRank* LocalRanks::find(std::int32_t rank) const {
  if (rank < 0) return held_.size() == 1 ? held_.front().get() : nullptr;
  for (const auto& held : held_) {
    if (held->rank == rank) return held.get();
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
  return std::ranges::any_of(held_, [](const auto& held) { return held->device >= 0; });
}

void LocalRanks::abort() const {
  for (const auto& held : held_) signcclCommAbort(held->comm);
}

void LocalRanks::waitForCalls() const {
  for (const auto& held : held_) const std::lock_guard wait(held->mutex);
}

std::shared_ptr<LocalRanks> findRanks(std::int64_t ranks) {
  const std::lock_guard lock(table().mutex);
  const auto found = table().ranks.find(ranks);
  return found == table().ranks.end() ? nullptr : found->second;
}

RankLock::RankLock(std::int64_t ranks, std::int32_t rank, Execution execution) : ranks_(findRanks(ranks)) {
  if (!ranks_) {
    error_.emplace(ffi::ErrorCode::kFailedPrecondition,
                   "the communicator of this program is closed; give the function a new one, and it is traced again");
    return;
  }
  HeldRank* const held = ranks_->find(rank);
  if (held == nullptr) {
    error_.emplace(ffi::ErrorCode::kFailedPrecondition,
                   "a device takes part as rank " + std::to_string(rank) + ", but this process holds " +
                       ranks_->describe() + ": give device_communicators() the devices in the order of the axis");
    ranks_->abort();
    return;
  }
  lock_ = std::unique_lock(held->mutex, std::try_to_lock);
  if (!lock_) {
    const std::int32_t other = held->device;
    if (other >= 0 && other != execution.device) {
      refuseOtherDevice(other, execution);
      return;
    }
    lock_.lock();
  }
  if (held->last.run == execution.run && execution.run != 0 && held->last.device != execution.device) {
    refuseOtherDevice(held->last.device, execution);
    return;
  }
  held->device = execution.device;
  held->last = execution;
  held_ = held;
}

RankLock::~RankLock() {
  if (held_ != nullptr) held_->device = -1;
}

void RankLock::refuseOtherDevice(std::int32_t other, Execution execution) {
  error_.emplace(ffi::ErrorCode::kFailedPrecondition,
                 "devices " + std::to_string(other) + " and " + std::to_string(execution.device) +
                     " use the communicator of " + ranks_->describe() +
                     " at once, expected one device for each rank: device_communicators() makes one for each device, "
                     "and axis_name= says which is which");
  ranks_->abort();
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

std::int64_t signcclJaxAddRanks(const signcclComm_t* comms, const int* ranks, std::size_t n) {
  auto added = std::make_shared<LocalRanks>();
  for (std::size_t i = 0; i < n; ++i) added->add(comms[i], ranks[i]);
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
  removed->waitForCalls();
}
