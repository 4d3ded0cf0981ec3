#include "comm/loopback_group.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <unistd.h>

#include <sys/random.h>

#include "comm/announcements.h"
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
        joined_(static_cast<std::size_t>(topology_.nranks()), 0),
        announcements_(topology_.nranks()) {}

  [[nodiscard]] int nranks() const { return topology_.nranks(); }
  [[nodiscard]] const Topology& topology() const { return topology_; }
  [[nodiscard]] const std::shared_ptr<LoopbackFabric>& fabric() const { return fabric_; }
  [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }

  void join(Rank rank, int nranks, const SharedSettings& settings);
  void joinAll();
  void awaitMembers(Rank rank, Deadline deadline);
  void announce(Rank rank, std::uint64_t exchange, const ExchangeSignature& signature);
  bool allAnnounced(std::uint64_t exchange);
  std::vector<Rank> notAnnounced(std::uint64_t exchange);
  void leave(Rank rank);
  void fail(const Failure& failure);
  [[nodiscard]] Failure failure() const;
  void postSplit(std::uint64_t split, Choice choice);
  std::unique_ptr<LoopbackGroup> awaitSplit(Rank rank, std::uint64_t split, Deadline deadline);

 private:
  struct Split {
    std::vector<Choice> choices;
    std::map<int, std::shared_ptr<LoopbackRecord>> groups;  ///< by color, made when the last rank has chosen
    int collected = 0;
  };

  void failLocked(const Failure& failure);
  void throwIfFailedLocked() const;
  void failIfLeftLocked(const Split& split);
  void makeSplitGroups(Split& split);
  std::vector<Rank> missing(const std::vector<std::uint8_t>& present) const;

  const Topology topology_;
  const std::shared_ptr<LoopbackFabric> fabric_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint8_t> joined_;  ///< [rank]
  int njoined_ = 0;
  Rank first_rank_ = -1;     ///< that joined
  SharedSettings settings_;  ///< its settings
  Announcements announcements_;
  std::map<std::uint64_t, Split> splits_;
  Failure failure_;
  std::atomic<bool> failed_ = false;
};

namespace {

constexpr std::array<char, 8> kIdMagic = {'S', 'I', 'G', 'N', 'C', 'C', 'L', '1'};

/// What a unique id of this transport holds.
struct IdBody {
  std::array<char, 8> magic;
  std::int64_t process;
  std::array<std::uint8_t, 16> secret;
};
static_assert(sizeof(IdBody) <= sizeof(signcclUniqueId));

/// Groups that ranks are joining, by the secret of their id.
struct Registry {
  std::mutex mutex;
  std::map<std::array<std::uint8_t, 16>, std::weak_ptr<LoopbackRecord>> groups;
};

Registry& registry() {
  static Registry instance;
  return instance;
}

/// Says which setting differs, if one does.
std::optional<std::string> describeDifference(const SharedSettings& a, Rank rank_a, const SharedSettings& b,
                                              Rank rank_b) {
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (a[i] == b[i]) continue;
    return "the ranks have different settings: " + a[i].first + " is " + a[i].second + " on rank " +
           std::to_string(rank_a) + " and " + b[i].second + " on rank " + std::to_string(rank_b);
  }
  return std::nullopt;
}

Topology nodesOf(int nranks, int ranks_per_node) {
  return ranks_per_node > 0 ? Topology::uniform(nranks, ranks_per_node) : Topology::singleNode(nranks);
}

}  // namespace

std::string rankList(const std::vector<Rank>& ranks) {
  constexpr std::size_t kShown = 8;
  std::string list;
  const std::size_t shown = ranks.size() <= kShown + 1 ? ranks.size() : kShown;
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) list += i + 1 == ranks.size() ? " and " : ", ";
    list += std::to_string(ranks[i]);
  }
  if (shown < ranks.size()) list += " and " + std::to_string(ranks.size() - shown) + " more";
  return list;
}

void LoopbackRecord::join(Rank rank, int nranks, const SharedSettings& settings) {
  const std::lock_guard lock(mutex_);
  throwIfFailedLocked();
  const std::string me = "rank " + std::to_string(rank);
  if (nranks != this->nranks()) {
    failLocked({signcclInvalidUsage, me + " joins a communicator of " + std::to_string(nranks) +
                                         " ranks, an earlier rank one of " + std::to_string(this->nranks())});
    throwIfFailedLocked();
  }
  if (first_rank_ < 0) {
    first_rank_ = rank;
    settings_ = settings;
  } else if (const auto difference = describeDifference(settings_, first_rank_, settings, rank)) {
    failLocked({signcclInvalidUsage, *difference});
    throwIfFailedLocked();
  }
  std::uint8_t& place = joined_[static_cast<std::size_t>(rank)];
  if (place != 0) throw Error(signcclInvalidUsage, me + " has joined this communicator already");
  place = 1;
  ++njoined_;
  changed_.notify_all();
}

void LoopbackRecord::joinAll() {
  const std::lock_guard lock(mutex_);
  std::fill(joined_.begin(), joined_.end(), std::uint8_t{1});
  njoined_ = nranks();
}

void LoopbackRecord::awaitMembers(Rank rank, Deadline deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [&] { return failed() || njoined_ == nranks(); });
  throwIfFailedLocked();
  if (njoined_ == nranks()) return;
  failLocked({signcclTimeout, "rank " + std::to_string(rank) + " waited in vain for rank " +
                                  rankList(missing(joined_)) + " of " + std::to_string(nranks()) + " to join"});
  throwIfFailedLocked();
}

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
}

/// A split needs every rank, so it cannot end if one left that has not chosen.
void LoopbackRecord::failIfLeftLocked(const Split& split) {
  std::vector<std::uint8_t> present(static_cast<std::size_t>(nranks()), 0);
  for (const Choice& choice : split.choices) present[static_cast<std::size_t>(choice.rank)] = 1;
  for (const Rank rank : missing(present)) {
    if (!announcements_.hasLeft(rank)) continue;
    failLocked({signcclRemoteError, "rank " + std::to_string(rank) +
                                        " destroyed its communicator and takes no part in the split that rank " +
                                        std::to_string(split.choices.front().rank) + " has called"});
    return;
  }
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
    split.groups[color]->joinAll();
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
    failLocked({signcclTimeout, "rank " + std::to_string(rank) + " waited in vain for rank " +
                                    rankList(missing(present)) + " to split the communicator"});
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

signcclUniqueId LoopbackGroup::makeUniqueId() {
  IdBody body{kIdMagic, getpid(), {}};
  if (getentropy(body.secret.data(), body.secret.size()) != 0) {
    throw Error(signcclSystemError, std::string("no random bytes for a unique id: ") + std::strerror(errno));
  }
  signcclUniqueId id{};
  std::memcpy(id.internal, &body, sizeof body);
  return id;
}

std::unique_ptr<LoopbackGroup> LoopbackGroup::join(const signcclUniqueId& id, int nranks, Rank rank,
                                                   const SharedSettings& settings, int ranks_per_node) {
  IdBody body;
  std::memcpy(&body, id.internal, sizeof body);
  if (body.magic != kIdMagic) {
    throw Error(signcclInvalidArgument, "commId was not made by signcclGetUniqueId()");
  }
  if (body.process != getpid()) {
    throw Error(signcclInvalidUsage, "commId was made by process " + std::to_string(body.process) +
                                         " and is used in process " + std::to_string(getpid()) +
                                         "; the ranks of a communicator must be threads of one process");
  }
  Registry& all = registry();
  std::shared_ptr<LoopbackRecord> record;
  {
    const std::lock_guard lock(all.mutex);
    std::erase_if(all.groups, [](const auto& entry) { return entry.second.expired(); });
    std::weak_ptr<LoopbackRecord>& known = all.groups[body.secret];
    record = known.lock();
    if (!record) {
      record = std::make_shared<LoopbackRecord>(nodesOf(nranks, ranks_per_node));
      known = record;
    }
  }
  record->join(rank, nranks, settings);
  return std::make_unique<LoopbackGroup>(std::move(record), rank);
}

std::vector<std::unique_ptr<LoopbackGroup>> LoopbackGroup::makeAll(int nranks, int ranks_per_node) {
  const auto record = std::make_shared<LoopbackRecord>(nodesOf(nranks, ranks_per_node));
  record->joinAll();
  std::vector<std::unique_ptr<LoopbackGroup>> groups;
  for (Rank rank = 0; rank < nranks; ++rank) groups.push_back(std::make_unique<LoopbackGroup>(record, rank));
  return groups;
}

LoopbackGroup::LoopbackGroup(std::shared_ptr<LoopbackRecord> record, Rank rank)
    : record_(std::move(record)), rank_(rank) {}

const Topology& LoopbackGroup::topology() const { return record_->topology(); }
int LoopbackGroup::ranksOnThisMachine() const { return record_->nranks(); }
CostModel LoopbackGroup::costModel() const { return {kLoopbackLink, kLoopbackLink, kCountNsPerPlaneWord}; }

void LoopbackGroup::awaitMembers(Deadline deadline) { record_->awaitMembers(rank_, deadline); }

std::unique_ptr<Transport> LoopbackGroup::makeTransport() {
  return std::make_unique<LoopbackTransport>(record_->fabric(), rank_);
}

void LoopbackGroup::announce(std::uint64_t exchange, const ExchangeSignature& signature) {
  record_->announce(rank_, exchange, signature);
}

bool LoopbackGroup::allAnnounced(std::uint64_t exchange) { return record_->allAnnounced(exchange); }
std::vector<Rank> LoopbackGroup::notAnnounced(std::uint64_t exchange) { return record_->notAnnounced(exchange); }
bool LoopbackGroup::failed() const noexcept { return record_->failed(); }
Failure LoopbackGroup::failure() const { return record_->failure(); }
void LoopbackGroup::fail(const Failure& failure) noexcept { record_->fail(failure); }
void LoopbackGroup::leave() noexcept { record_->leave(rank_); }
void LoopbackGroup::postSplit(int color, int key, const SharedSettings& settings) {
  record_->postSplit(splits_++, {rank_, color, key, settings});
}

std::unique_ptr<Group> LoopbackGroup::awaitSplit(Deadline deadline) {
  return record_->awaitSplit(rank_, splits_ - 1, deadline);
}

}  // namespace signccl
