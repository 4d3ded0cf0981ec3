// SPDX-License-Identifier: Apache-2.0
#include "control/member_record.h"

#include <algorithm>
#include <utility>

#include "control/wire.h"

namespace signccl {

bool MemberRecord::setRoster(RosterMessage roster) {
  if (roster.ranks.size() != static_cast<std::size_t>(nranks_)) WireReader::fail("it names another number of ranks");
  const std::lock_guard lock(mutex_);
  if (!ranks_.empty()) WireReader::fail("the roster comes a second time");
  ranks_ = std::move(roster.ranks);
  group_ = roster.group;
  hub_process_ = roster.hub_process;
  ready_ = inOneProcess();
  changed_.notify_all();
  return !ready_;
}

bool MemberRecord::inOneProcess() const {
  return std::ranges::all_of(ranks_, [&](const RankInfo& one) { return one.process == process_; });
}

void MemberRecord::setGathered(GatheredMessage gathered) {
  if (gathered.parts.size() != static_cast<std::size_t>(nranks_)) {
    WireReader::fail("it has parts of another number of ranks");
  }
  const std::lock_guard lock(mutex_);
  if (ranks_.empty()) WireReader::fail("it comes before the roster");
  if (gathered.id == kAddressGathering) {
    if (ready_) WireReader::fail("the addresses come a second time");
    addresses_ = std::move(gathered.parts);
    ready_ = true;
  } else {
    gathered_[gathered.id] = std::move(gathered.parts);
  }
  changed_.notify_all();
}

void MemberRecord::setMissing(MissingMessage missing) {
  const std::lock_guard lock(mutex_);
  missing_ = std::move(missing);
  changed_.notify_all();
}

void MemberRecord::setAllLeft() {
  const std::lock_guard lock(mutex_);
  all_left_ = true;
}

std::optional<Failure> MemberRecord::setLeft(const LeftMessage& left, std::uint64_t ended) {
  if (!areRanks({left.rank}, nranks_)) WireReader::fail("a rank is out of range");
  const std::lock_guard lock(mutex_);
  some_left_.store(true, std::memory_order_release);
  changed_.notify_all();  // a gathering may no longer end
  return exchanges_.leave(left, ended);
}

bool MemberRecord::setDisconnected() {
  const std::lock_guard lock(mutex_);
  if (!all_left_ && !has_left_ && !exchanges_.hasAnyLeft(ranksOfHubLocked())) return true;
  all_left_ = true;  // as far as anybody can still find out
  return false;
}

bool MemberRecord::setLeaving() {
  const std::lock_guard lock(mutex_);
  return !std::exchange(has_left_, true);
}

bool MemberRecord::allLeft() const {
  const std::lock_guard lock(mutex_);
  return all_left_;
}

std::vector<Rank> MemberRecord::ranksOfHub() const {
  const std::lock_guard lock(mutex_);
  return ranksOfHubLocked();
}

std::vector<Rank> MemberRecord::ranksOfHubLocked() const {
  std::vector<Rank> found;
  for (std::size_t one = 0; one < ranks_.size(); ++one) {
    if (ranks_[one].process == hub_process_) found.push_back(static_cast<Rank>(one));
  }
  return found;
}

void MemberRecord::begin(std::uint64_t exchange, const std::string& signature, bool announced) {
  const std::lock_guard lock(mutex_);
  throwIfFailedLocked();
  exchanges_.begin(exchange, signature, announced);
}

std::optional<AnnounceMessage> MemberRecord::tick(std::uint64_t ended) {
  const std::lock_guard lock(mutex_);
  return exchanges_.tick(ended);
}

std::uint64_t MemberRecord::begun(std::uint64_t ended) const {
  const std::lock_guard lock(mutex_);
  return exchanges_.begun(ended);
}

void MemberRecord::throwIfLeft(std::uint64_t exchange) const {
  if (!some_left_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  if (auto failure = exchanges_.failureOf(exchange)) throw FailureError(std::move(*failure));
}

bool MemberRecord::awaitReady(Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [&] { return failed() || ready_; });
}

bool MemberRecord::awaitGathered(const GatheringId& id, Deadline deadline) {
  std::unique_lock lock(mutex_);
  // The parts of a gathering that a rank took part in come before the word that it left.
  return changed_.wait_until(
      lock, deadline, [&] { return failed() || gathered_.contains(id) || some_left_.load(std::memory_order_relaxed); });
}

std::optional<std::vector<std::string>> MemberRecord::takeGathered(const GatheringId& id) {
  const std::lock_guard lock(mutex_);
  auto found = gathered_.extract(id);
  return found.empty() ? std::nullopt : std::optional(std::move(found.mapped()));
}

std::optional<Rank> MemberRecord::firstLeft() const {
  const std::lock_guard lock(mutex_);
  return exchanges_.firstLeft();
}

std::optional<std::vector<Rank>> MemberRecord::awaitMissing(std::uint64_t exchange, Deadline deadline) {
  std::unique_lock lock(mutex_);
  const auto has_answer = [&] { return missing_ && missing_->exchange == exchange; };
  if (!changed_.wait_until(lock, deadline, [&] { return failed() || has_answer(); })) return std::nullopt;
  const std::optional<MissingMessage> answer = std::exchange(missing_, std::nullopt);
  return answer && answer->exchange == exchange ? answer->ranks : std::vector<Rank>{};
}

Failure MemberRecord::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

bool MemberRecord::setFailure(const Failure& failure) noexcept {
  const std::lock_guard lock(mutex_);
  if (failed()) return false;
  assignFailure(failure_, failure);
  failed_.store(true, std::memory_order_release);
  changed_.notify_all();
  return true;
}

void MemberRecord::copyFailureTo(Failure& copy) const noexcept {
  const std::lock_guard lock(mutex_);
  assignFailure(copy, failure_);
}

void MemberRecord::throwIfFailed() const {
  const std::lock_guard lock(mutex_);
  throwIfFailedLocked();
}

void MemberRecord::throwIfFailedLocked() const {
  if (failed()) throw FailureError(failure_);
}

}  // namespace signccl
