// SPDX-License-Identifier: Apache-2.0
// What a rank knows of its group: who the ranks are, what they gathered, who has left, and why the group has failed.
#ifndef SIGNCCL_CONTROL_MEMBER_RECORD_H_
#define SIGNCCL_CONTROL_MEMBER_RECORD_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/failure.h"
#include "control/exchange_watch.h"
#include "control/messages.h"

namespace signccl {

/// Any thread. Knows no connection: Member hands in what the hub says, which may be any message, and calls throw Error
/// with signcclRemoteError for one that cannot be. `ended` is the number of exchanges that this rank has ended.
class MemberRecord {
 public:
  /// `process` is that of this rank.
  MemberRecord(Rank rank, int nranks, std::uint64_t process)
      : nranks_(nranks), process_(process), exchanges_(rank, nranks) {}

  /// True if the ranks are several processes, so that addresses must be told.
  bool setRoster(RosterMessage roster);
  void setGathered(GatheredMessage gathered);
  void setMissing(MissingMessage missing);
  void setAllLeft();
  /// Notes that a rank has left. Gives the failure of the exchange that is under way, if it needs that rank.
  std::optional<Failure> setLeft(const LeftMessage& left, std::uint64_t ended);
  /// Notes that the connection to the hub is gone. False if that is no failure, since this rank, or one in the process
  /// of the hub, has left.
  bool setDisconnected();
  /// Notes that this rank leaves. False if it has done so before.
  bool setLeaving();

  /// Once ready, these do not change any more.
  [[nodiscard]] const std::vector<RankInfo>& ranks() const { return ranks_; }
  [[nodiscard]] const Secret& group() const { return group_; }
  [[nodiscard]] const std::vector<std::string>& addresses() const { return addresses_; }
  [[nodiscard]] bool inOneProcess() const;

  [[nodiscard]] bool allLeft() const;
  /// Ranks in whose process the hub is, as far as is known.
  [[nodiscard]] std::vector<Rank> ranksOfHub() const;

  /// See ExchangeWatch. Throws the failure of the group.
  void begin(std::uint64_t exchange, const std::string& signature, bool announced);
  std::optional<AnnounceMessage> tick(std::uint64_t ended);
  [[nodiscard]] std::uint64_t begun(std::uint64_t ended) const;
  /// Throws the failure of `exchange` if a rank has left before it. Cheap as long as none has left.
  void throwIfLeft(std::uint64_t exchange) const;

  /// Wait until it is so, or the group has failed; the second one also ends when a rank has left, whose part will not
  /// come. False if the deadline passes first.
  bool awaitReady(Deadline deadline);
  bool awaitGathered(const GatheringId& id, Deadline deadline);
  /// The parts of a gathering, once; nothing if they have not come.
  std::optional<std::vector<std::string>> takeGathered(const GatheringId& id);
  /// The ranks that setMissing() names, nothing if the deadline passes; none if the group has failed.
  std::optional<std::vector<Rank>> awaitMissing(std::uint64_t exchange, Deadline deadline);

  /// The first rank that has left; nothing if none has.
  [[nodiscard]] std::optional<Rank> firstLeft() const;

  [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }
  [[nodiscard]] Failure failure() const;
  /// Only the first counts; false for others. Needs no memory.
  bool setFailure(const Failure& failure) noexcept;
  /// Needs no memory.
  void copyFailureTo(Failure& copy) const noexcept;
  void throwIfFailed() const;

 private:
  [[nodiscard]] std::vector<Rank> ranksOfHubLocked() const;
  void throwIfFailedLocked() const;

  const int nranks_;
  const std::uint64_t process_;
  std::atomic<bool> failed_ = false;
  std::atomic<bool> some_left_ = false;

  mutable std::mutex mutex_;  ///< guards what follows
  std::condition_variable changed_;
  std::vector<RankInfo> ranks_;
  std::vector<std::string> addresses_;
  Secret group_{};
  std::uint64_t hub_process_ = 0;
  bool ready_ = false;
  bool all_left_ = false;
  bool has_left_ = false;
  std::map<GatheringId, std::vector<std::string>> gathered_;
  std::optional<MissingMessage> missing_;
  Failure failure_;
  ExchangeWatch exchanges_;
};

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_MEMBER_RECORD_H_
