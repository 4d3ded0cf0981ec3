#include "comm/loopback_group.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>

#include "comm/announcements.h"
#include "control/failures.h"
#include "control/gathering.h"
#include "transport/loopback.h"

namespace signccl {

/// What the ranks of one group share.
class LoopbackRecord {
 public:
  /// What one rank says in a split.
  struct Choice {
    Rank rank;
    int color;
    int key;
    SharedSettings settings;
  };

  explicit LoopbackRecord(Topology topology)
      : topology_(std::move(topology)),
        fabric_(std::make_shared<LoopbackFabric>(topology_.nranks())),
        announcements_(topology_.nranks()) {}

  [[nodiscard]] int nranks() const { return topology_.nranks(); }
  [[nodiscard]] const Topology& topology() const { return topology_; }
  [[nodiscard]] const std::shared_ptr<LoopbackFabric>& fabric() const { return fabric_; }
  [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }

  void announce(Rank rank, std::uint64_t exchange, const ExchangeSignature& signature);
  bool allAnnounced(std::uint64_t exchange);
  std::vector<Rank> notAnnounced(std::uint64_t exchange);
  void leave(Rank rank);
  void fail(const Failure& failure);
  [[nodiscard]] Failure failure() const;
  std::vector<std::string> allGather(Rank rank, std::uint64_t number, std::string part, Deadline deadline);
  void postSplit(std::uint64_t split, Choice choice);
  std::unique_ptr<LoopbackGroup> awaitSplit(Rank rank, std::uint64_t split, Deadline deadline);

 private:
  struct Split {
    std::vector<Choice> choices;
    std::map<int, std::shared_ptr<LoopbackRecord>> groups;  ///< by color, made when the last rank has chosen
    int collected = 0;
  };

  struct AllGather {
    std::vector<std::string> parts;     ///< [rank]
    std::vector<std::uint8_t> present;  ///< [rank] 1 if the rank has given its part
    Rank first_rank = 0;                ///< that gave its part
    int given = 0;
    int collected = 0;
  };

  void failLocked(const Failure& failure);
  void throwIfFailedLocked() const;
  void failIfLeftLocked(const Split& split);
  void failIfLeftLocked(const AllGather& gathering);
  void makeSplitGroups(Split& split);
  std::vector<Rank> missing(const std::vector<std::uint8_t>& present) const;

  const Topology topology_;
  const std::shared_ptr<LoopbackFabric> fabric_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Announcements announcements_;
  std::map<std::uint64_t, Split> splits_;
  std::map<std::uint64_t, AllGather> all_gathers_;
  Failure failure_;
  std::atomic<bool> failed_ = false;
};

namespace {

/// Groups that not all of their ranks have entered, by name.
struct Registry {
  struct Entry {
    std::shared_ptr<LoopbackRecord> record;
    int entered = 0;
  };
  std::mutex mutex;
  std::map<Secret, Entry> groups;
};

Registry& registry() {
  static Registry instance;
  return instance;
}

Topology nodesOf(int nranks, int ranks_per_node) {
  return ranks_per_node > 0 ? Topology::uniform(nranks, ranks_per_node) : Topology::singleNode(nranks);
}

}  // namespace

std::vector<Rank> LoopbackRecord::missing(const std::vector<std::uint8_t>& present) const {
  std::vector<Rank> ranks;
  for (std::size_t rank = 0; rank < present.size(); ++rank) {
    if (present[rank] == 0) ranks.push_back(static_cast<Rank>(rank));
  }
  return ranks;
}

void LoopbackRecord::announce(Rank rank, std::uint64_t exchange, const ExchangeSignature& signature) {
  const std::lock_guard lock(mutex_);
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

void LoopbackRecord::leave(Rank rank) {
  const std::lock_guard lock(mutex_);
  if (const auto failure = announcements_.leave(rank)) failLocked(*failure);
  for (const auto& [number, split] : splits_) failIfLeftLocked(split);
  for (const auto& [number, gathering] : all_gathers_) failIfLeftLocked(gathering);
}

/// A split needs every rank, so it cannot end if one left that has not chosen.
void LoopbackRecord::failIfLeftLocked(const Split& split) {
  std::vector<std::uint8_t> present(static_cast<std::size_t>(nranks()), 0);
  for (const Choice& choice : split.choices) present[static_cast<std::size_t>(choice.rank)] = 1;
  for (const Rank rank : missing(present)) {
    if (!announcements_.hasLeft(rank)) continue;
    failLocked(leftBeforeSplit(rank, split.choices.front().rank));
    return;
  }
}

void LoopbackRecord::failIfLeftLocked(const AllGather& gathering) {
  for (const Rank rank : missing(gathering.present)) {
    if (!announcements_.hasLeft(rank)) continue;
    failLocked(leftBeforeGathering(kAllGathers, rank, gathering.first_rank));
    return;
  }
}

std::vector<std::string> LoopbackRecord::allGather(Rank rank, std::uint64_t number, std::string part,
                                                   Deadline deadline) {
  std::unique_lock lock(mutex_);
  throwIfFailedLocked();
  if (const auto other = splits_.find(number); other != splits_.end()) {
    failLocked(splitMeetsAllGather(other->second.choices.front().rank, rank));
    throwIfFailedLocked();
  }
  const auto all = static_cast<std::size_t>(nranks());
  AllGather& joint = all_gathers_[number];
  if (joint.given++ == 0) {
    joint.parts.resize(all);
    joint.present.resize(all);
    joint.first_rank = rank;
  }
  joint.parts[static_cast<std::size_t>(rank)] = std::move(part);
  joint.present[static_cast<std::size_t>(rank)] = 1;
  failIfLeftLocked(joint);
  const auto is_complete = [&] { return joint.given == nranks(); };
  if (is_complete()) changed_.notify_all();
  changed_.wait_until(lock, deadline, [&] { return failed() || is_complete(); });
  // What all have given comes whole to each, whatever befalls the group afterwards.
  if (!is_complete()) {
    if (!failed()) failLocked(missedGathering(kAllGathers, rank, missing(joint.present)));
    throwIfFailedLocked();
  }
  std::vector<std::string> parts = joint.parts;
  if (++joint.collected == nranks()) all_gathers_.erase(number);
  return parts;
}

void LoopbackRecord::fail(const Failure& failure) {
  const std::lock_guard lock(mutex_);
  failLocked(failure);
}

void LoopbackRecord::failLocked(const Failure& failure) {
  if (failed()) return;
  failure_ = failure;
  failed_.store(true, std::memory_order_release);
  changed_.notify_all();
  for (int rank = 0; rank < nranks(); ++rank) fabric_->wake(rank);
}

Failure LoopbackRecord::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void LoopbackRecord::throwIfFailedLocked() const {
  if (failed()) throw Error(failure_.code, failure_.message);
}

void LoopbackRecord::postSplit(std::uint64_t split, Choice choice) {
  const std::lock_guard lock(mutex_);
  throwIfFailedLocked();
  if (const auto other = all_gathers_.find(split); other != all_gathers_.end()) {
    failLocked(splitMeetsAllGather(choice.rank, other->second.first_rank));
    throwIfFailedLocked();
  }
  Split& joint = splits_[split];
  for (const Choice& earlier : joint.choices) {
    if (earlier.color != choice.color || choice.color < 0) continue;
    if (const auto difference = describeDifference(earlier.settings, earlier.rank, choice.settings, choice.rank)) {
      failLocked({signcclInvalidUsage, *difference});
      throwIfFailedLocked();
    }
  }
  joint.choices.push_back(std::move(choice));
  failIfLeftLocked(joint);
  throwIfFailedLocked();
  if (joint.choices.size() < static_cast<std::size_t>(nranks())) return;
  makeSplitGroups(joint);
  changed_.notify_all();
}

void LoopbackRecord::makeSplitGroups(Split& split) {
  std::sort(split.choices.begin(), split.choices.end(), [](const Choice& a, const Choice& b) {
    return std::tie(a.color, a.key, a.rank) < std::tie(b.color, b.key, b.rank);
  });
  std::map<int, std::vector<int>> node_of;
  for (const Choice& choice : split.choices) node_of[choice.color].push_back(topology_.nodeOf(choice.rank));
  for (const auto& [color, nodes] : node_of) {
    if (color < 0) continue;
    split.groups[color] = std::make_shared<LoopbackRecord>(Topology(nodes));
  }
}

std::unique_ptr<LoopbackGroup> LoopbackRecord::awaitSplit(Rank rank, std::uint64_t split, Deadline deadline) {
  std::unique_lock lock(mutex_);
  Split& joint = splits_[split];
  const auto all = static_cast<std::size_t>(nranks());
  changed_.wait_until(lock, deadline, [&] { return failed() || joint.choices.size() == all; });
  throwIfFailedLocked();
  if (joint.choices.size() < all) {
    std::vector<std::uint8_t> present(all, 0);
    for (const Choice& choice : joint.choices) present[static_cast<std::size_t>(choice.rank)] = 1;
    failLocked(neverSplit(rank, missing(present)));
    throwIfFailedLocked();
  }
  const auto mine = std::find_if(joint.choices.begin(), joint.choices.end(),
                                 [&](const Choice& choice) { return choice.rank == rank; });
  const int color = mine->color;
  const auto first = std::find_if(joint.choices.begin(), joint.choices.end(),
                                  [&](const Choice& choice) { return choice.color == color; });
  const auto new_rank = static_cast<Rank>(mine - first);
  std::shared_ptr<LoopbackRecord> record = color < 0 ? nullptr : joint.groups[color];
  if (++joint.collected == nranks()) splits_.erase(split);
  return record ? std::make_unique<LoopbackGroup>(std::move(record), new_rank) : nullptr;
}

std::unique_ptr<LoopbackGroup> LoopbackGroup::enter(const Secret& name, int nranks, Rank rank, int ranks_per_node) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  Registry::Entry& entry = all.groups[name];
  if (!entry.record) entry.record = std::make_shared<LoopbackRecord>(nodesOf(nranks, ranks_per_node));
  auto group = std::make_unique<LoopbackGroup>(entry.record, rank);
  if (++entry.entered == nranks) all.groups.erase(name);
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
std::vector<std::string> LoopbackGroup::allGather(std::string part, Deadline deadline) {
  return record_->allGather(rank_, ++gatherings_, std::move(part), deadline);
}
void LoopbackGroup::postSplit(int color, int key, const SharedSettings& settings) {
  record_->postSplit(++gatherings_, {rank_, color, key, settings});
}

std::unique_ptr<Group> LoopbackGroup::awaitSplit(Deadline deadline) {
  return record_->awaitSplit(rank_, gatherings_, deadline);
}

}  // namespace signccl
