// SPDX-License-Identifier: Apache-2.0
#include "comm/loopback_group.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/brief_lock.h"
#include "base/process_locks.h"
#include "comm/announcements.h"
#include "comm/regroup.h"
#include "control/failures.h"
#include "transport/loopback.h"

namespace signccl {

/// What the ranks of one group share.
class LoopbackRecord {
 public:
  explicit LoopbackRecord(Topology topology)
      : topology_(std::move(topology)),
        fabric_(std::make_shared<LoopbackFabric>(topology_.nranks())),
        meeting_(std::make_shared<ProcessMeeting>(static_cast<std::size_t>(topology_.nranks()))),
        announcements_(topology_.nranks()) {}

  [[nodiscard]] int nranks() const { return topology_.nranks(); }
  [[nodiscard]] const Topology& topology() const { return topology_; }
  [[nodiscard]] const std::shared_ptr<LoopbackFabric>& fabric() const { return fabric_; }
  [[nodiscard]] const std::shared_ptr<ProcessMeeting>& meeting() const { return meeting_; }
  [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }

  void announce(Rank rank, std::uint64_t exchange, const ExchangeSignature& signature);
  bool allAnnounced(std::uint64_t exchange);
  std::vector<Rank> notAnnounced(std::uint64_t exchange);
  void leave(Rank rank) noexcept;
  void fail(const Failure& failure) noexcept;
  [[nodiscard]] Failure failure() const;
  void postAllGather(Rank rank, std::uint64_t number, std::string part);
  std::vector<std::string> awaitAllGather(Rank rank, std::uint64_t number, Deadline deadline);
  void postSplit(std::uint64_t split, SplitRequest request);
  std::unique_ptr<LoopbackGroup> awaitSplit(Rank rank, std::uint64_t split, Deadline deadline);

 private:
  struct NewGroup {
    std::vector<Rank> ranks;  ///< [new rank] of this group
    std::shared_ptr<LoopbackRecord> record;
  };
  struct Split {
    std::vector<SplitRequest> requests;  ///< in the order in which they came
    std::map<int, NewGroup> groups;      ///< by color, made when the last rank has asked
    int collected = 0;

    [[nodiscard]] int colorOf(Rank rank) const { return std::ranges::find(requests, rank, &SplitRequest::rank)->color; }
    [[nodiscard]] std::vector<Rank> came() const;
  };

  struct AllGather {
    std::vector<std::string> parts;  ///< [rank]
    std::vector<Rank> came;          ///< in the order in which they came
    int collected = 0;
  };

  void failLocked(const Failure& failure) noexcept;
  void throwIfFailedLocked() const;
  void failIfLeftLocked(Gathering purpose, const std::vector<Rank>& came);
  void makeSplitGroups(Split& split) const;
  [[nodiscard]] std::vector<Rank> missing(const std::vector<Rank>& came) const;

  const Topology topology_;
  const std::shared_ptr<LoopbackFabric> fabric_;
  const std::shared_ptr<ProcessMeeting> meeting_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Announcements announcements_;
  std::map<std::uint64_t, Split> splits_;
  std::map<std::uint64_t, AllGather> all_gathers_;
  Failure failure_;
  std::atomic<bool> failed_ = false;
};

namespace {

struct Entry {
  std::shared_ptr<LoopbackRecord> record;
  int entered = 0;
};

/// Groups that not all of their ranks have entered, by name; guarded by ProcessLock::kLoopbackGroups. Never destroyed:
/// threads may still enter groups while the process ends.
std::map<Secret, Entry>& groupsByName() {
  static std::map<Secret, Entry>& groups = *new std::map<Secret, Entry>;
  return groups;
}

Topology nodesOf(int nranks, int ranks_per_node) {
  return ranks_per_node > 0 ? Topology::uniform(nranks, ranks_per_node) : Topology::singleNode(nranks);
}

}  // namespace

std::vector<Rank> LoopbackRecord::Split::came() const {
  std::vector<Rank> ranks;
  for (const SplitRequest& one : requests) ranks.push_back(one.rank);
  return ranks;
}

/// Ranks that have not come to a split or an all-gather.
std::vector<Rank> LoopbackRecord::missing(const std::vector<Rank>& came) const {
  std::vector<bool> present(static_cast<std::size_t>(nranks()));
  for (const Rank rank : came) present[static_cast<std::size_t>(rank)] = true;
  std::vector<Rank> ranks;
  for (Rank rank = 0; rank < nranks(); ++rank) {
    if (!present[static_cast<std::size_t>(rank)]) ranks.push_back(rank);
  }
  return ranks;
}

/// Ranks end an exchange at the same moment, and so begin the next one.
void LoopbackRecord::announce(Rank rank, std::uint64_t exchange, const ExchangeSignature& signature) {
  const auto lock = lockSoon(mutex_);
  if (const auto failure = announcements_.announce(rank, exchange, signature)) failLocked(*failure);
  throwIfFailedLocked();
}

bool LoopbackRecord::allAnnounced(std::uint64_t exchange) {
  const std::lock_guard lock(mutex_);
  return announcements_.complete(exchange);
}

std::vector<Rank> LoopbackRecord::notAnnounced(std::uint64_t exchange) {
  const std::lock_guard lock(mutex_);
  return announcements_.missing(exchange);
}

void LoopbackRecord::leave(Rank rank) noexcept {
  const std::lock_guard lock(mutex_);
  try {
    if (const auto failure = announcements_.leave(rank)) failLocked(*failure);
    for (const auto& [number, split] : splits_) failIfLeftLocked(Gathering::kSplit, split.came());
    for (const auto& [number, gathering] : all_gathers_) failIfLeftLocked(Gathering::kAllGather, gathering.came);
  } catch (const std::exception&) {
    // Memory ran out before it was known whether others wait for this rank: they must not wait forever.
    failLocked({signcclRemoteError, "out of memory"});
  }
}

/// A split or an all-gather needs every rank, so it cannot end if a rank left before it called.
void LoopbackRecord::failIfLeftLocked(Gathering purpose, const std::vector<Rank>& came) {
  if (came.empty()) return;  // the first rank ran out of memory
  for (const Rank rank : missing(came)) {
    if (!announcements_.hasLeft(rank)) continue;
    failLocked(leftBeforeGathering(rank, purpose, came.front()));
    return;
  }
}

void LoopbackRecord::postAllGather(Rank rank, std::uint64_t number, std::string part) {
  const std::lock_guard lock(mutex_);
  throwIfFailedLocked();
  if (const auto other = splits_.find(number); other != splits_.end() && !other->second.requests.empty()) {
    failLocked(splitMeetsAllGather(other->second.requests.front().rank, rank));
    throwIfFailedLocked();
  }
  const auto all = static_cast<std::size_t>(nranks());
  AllGather& joint = all_gathers_[number];
  joint.parts.resize(all);
  joint.came.push_back(rank);
  joint.parts[static_cast<std::size_t>(rank)] = std::move(part);
  failIfLeftLocked(Gathering::kAllGather, joint.came);
  if (joint.came.size() == all) changed_.notify_all();
}

std::vector<std::string> LoopbackRecord::awaitAllGather(Rank rank, std::uint64_t number, Deadline deadline) {
  std::unique_lock lock(mutex_);
  AllGather& joint = all_gathers_[number];
  const auto is_complete = [&] { return joint.came.size() == static_cast<std::size_t>(nranks()); };
  changed_.wait_until(lock, deadline, [&] { return failed() || is_complete(); });
  // What all have given comes whole to each, whatever befalls the group afterwards.
  if (!is_complete()) {
    if (!failed()) failLocked(neverGathered(rank, Gathering::kAllGather, missing(joint.came)));
    throwIfFailedLocked();
  }
  std::vector<std::string> parts = joint.parts;
  if (++joint.collected == nranks()) all_gathers_.erase(number);
  return parts;
}

void LoopbackRecord::fail(const Failure& failure) noexcept {
  const std::lock_guard lock(mutex_);
  failLocked(failure);
}

void LoopbackRecord::failLocked(const Failure& failure) noexcept {
  if (failed()) return;
  assignFailure(failure_, failure);
  failed_.store(true, std::memory_order_release);
  changed_.notify_all();
  for (int rank = 0; rank < nranks(); ++rank) fabric_->wake(rank);
}

Failure LoopbackRecord::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void LoopbackRecord::throwIfFailedLocked() const {
  if (failed()) throw FailureError(failure_);
}

void LoopbackRecord::postSplit(std::uint64_t split, SplitRequest request) {
  const std::lock_guard lock(mutex_);
  throwIfFailedLocked();
  if (const auto other = all_gathers_.find(split); other != all_gathers_.end() && !other->second.came.empty()) {
    failLocked(splitMeetsAllGather(request.rank, other->second.came.front()));
    throwIfFailedLocked();
  }
  Split& joint = splits_[split];
  for (const SplitRequest& earlier : joint.requests) {
    if (const auto failure = objectionTo(earlier, request)) failLocked(*failure);
  }
  throwIfFailedLocked();
  joint.requests.push_back(std::move(request));
  failIfLeftLocked(Gathering::kSplit, joint.came());
  throwIfFailedLocked();
  if (joint.requests.size() < static_cast<std::size_t>(nranks())) return;
  makeSplitGroups(joint);
  changed_.notify_all();
}

void LoopbackRecord::makeSplitGroups(Split& split) const {
  for (const SplitRequest& one : split.requests) {
    if (one.color < 0 || split.groups.contains(one.color)) continue;
    std::vector<Rank> ranks = ranksOfColor(one.color, split.requests);
    std::vector<int> nodes;
    for (const Rank rank : ranks) nodes.push_back(topology_.nodeOf(rank));
    split.groups[one.color] = {std::move(ranks), std::make_shared<LoopbackRecord>(Topology(nodes))};
  }
}

std::unique_ptr<LoopbackGroup> LoopbackRecord::awaitSplit(Rank rank, std::uint64_t split, Deadline deadline) {
  std::unique_lock lock(mutex_);
  Split& joint = splits_[split];
  const auto all = static_cast<std::size_t>(nranks());
  changed_.wait_until(lock, deadline, [&] { return failed() || joint.requests.size() == all; });
  throwIfFailedLocked();
  if (joint.requests.size() < all) {
    failLocked(neverGathered(rank, Gathering::kSplit, missing(joint.came())));
    throwIfFailedLocked();
  }
  std::unique_ptr<LoopbackGroup> place;
  if (const auto mine = joint.groups.find(joint.colorOf(rank)); mine != joint.groups.end()) {
    place = std::make_unique<LoopbackGroup>(mine->second.record, newRankOf(rank, mine->second.ranks));
  }
  if (++joint.collected == nranks()) splits_.erase(split);
  return place;
}

std::unique_ptr<LoopbackGroup> LoopbackGroup::enter(const Secret& name, int nranks, Rank rank, int ranks_per_node) {
  const std::lock_guard lock(processMutex(ProcessLock::kLoopbackGroups));
  std::map<Secret, Entry>& all = groupsByName();
  Entry& entry = all[name];
  if (!entry.record) entry.record = std::make_shared<LoopbackRecord>(nodesOf(nranks, ranks_per_node));
  auto group = std::make_unique<LoopbackGroup>(entry.record, rank);
  if (++entry.entered == nranks) all.erase(name);
  return group;
}

std::vector<std::unique_ptr<LoopbackGroup>> LoopbackGroup::makeAll(int nranks, int ranks_per_node) {
  const auto record = std::make_shared<LoopbackRecord>(nodesOf(nranks, ranks_per_node));
  std::vector<std::unique_ptr<LoopbackGroup>> groups;
  for (Rank rank = 0; rank < nranks; ++rank) groups.push_back(std::make_unique<LoopbackGroup>(record, rank));
  return groups;
}

LoopbackGroup::LoopbackGroup(std::shared_ptr<LoopbackRecord> record, Rank rank)
    : record_(std::move(record)), rank_(rank) {}

const Topology& LoopbackGroup::topology() const { return record_->topology(); }
CoreShare LoopbackGroup::coreShare() const { return {record_->nranks(), usableCoreCount()}; }
CostModel LoopbackGroup::costModel() const {
  CostModel model{kLoopbackLink, kLoopbackLink, kCountNsPerPlaneWord};
  model.ranks_per_core = coreShare().ranksPerCore();
  return model;
}

MeetingPlace LoopbackGroup::meetingPlace() const {
  if (record_->nranks() == 1) return {};
  return {record_->meeting(), static_cast<std::size_t>(rank_)};
}

std::unique_ptr<Transport> LoopbackGroup::makeTransport() {
  return std::make_unique<LoopbackTransport>(record_->fabric(), rank_);
}

void LoopbackGroup::begin(std::uint64_t exchange, const ExchangeSignature& signature, bool /*is_empty*/) {
  record_->announce(rank_, exchange, signature);
}

bool LoopbackGroup::allAnnounced(std::uint64_t exchange) { return record_->allAnnounced(exchange); }
std::vector<Rank> LoopbackGroup::notAnnounced(std::uint64_t exchange) { return record_->notAnnounced(exchange); }
bool LoopbackGroup::failed() const noexcept { return record_->failed(); }
Failure LoopbackGroup::failure() const { return record_->failure(); }
void LoopbackGroup::fail(const Failure& failure) noexcept { record_->fail(failure); }
void LoopbackGroup::leave() noexcept { record_->leave(rank_); }
void LoopbackGroup::postAllGather(std::string part) { record_->postAllGather(rank_, ++gatherings_, std::move(part)); }
std::vector<std::string> LoopbackGroup::awaitAllGather(Deadline deadline) {
  return record_->awaitAllGather(rank_, gatherings_, deadline);
}
void LoopbackGroup::postSplit(int color, int key, const SharedSettings& settings) {
  record_->postSplit(++gatherings_, {rank_, color, key, settings});
}

std::unique_ptr<Group> LoopbackGroup::awaitSplit(Deadline deadline) {
  return record_->awaitSplit(rank_, gatherings_, deadline);
}

}  // namespace signccl
