// SPDX-License-Identifier: Apache-2.0
// A rank's side of the control plane: its connection to the hub of its group.
#ifndef SIGNCCL_CONTROL_MEMBER_H_
#define SIGNCCL_CONTROL_MEMBER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "control/connection.h"
#include "control/connector.h"
#include "control/control_thread.h"
#include "control/member_record.h"
#include "control/unique_id.h"

namespace signccl {

class Member;

struct MemberOptions {
  MeetingPoint point;
  std::vector<asio::ip::tcp::endpoint> addresses;  ///< of the hub, tried in turn; empty: that of the point
  bool may_be_early = false;  ///< the hub may not listen yet, so a refused connection is no reason to give up
  std::string why_dropped;    ///< for the end of the message if the connection is closed before all ranks have joined
  Rank rank = 0;
  int nranks = 0;
  RankInfo info;
  SharedSettings settings;
  /// Completes `info` when the rank has reached the hub, from the address of its end. In the control thread; or null.
  std::function<void(RankInfo& info, const asio::ip::address& local)> on_connected;
  /// Called in the control thread once all ranks have joined, unless they are all in one process: tellAddress() or
  /// fail() must follow, in any thread. Must not block, since the thread serves all groups of the process.
  std::function<void(Member&)> on_address_wanted;
};

/// Calls may come from any thread. Only the calls with a deadline, and missing(), block.
class Member : public std::enable_shared_from_this<Member> {
 public:
  /// Starts to join. Throws Error.
  static std::shared_ptr<Member> join(MemberOptions options);

  Member(asio::io_context& context, MemberOptions options);

  [[nodiscard]] Rank rank() const { return options_.rank; }
  [[nodiscard]] int nranks() const { return options_.nranks; }

  /// Waits until all ranks have joined and, unless they are all in this process, told their addresses. Throws Error.
  void awaitReady(Deadline deadline);

  /// Tells the others how to reach the transport of this rank.
  void tellAddress(std::string address) { gather(kAddressGathering, std::move(address)); }

  /// Once ready: who the ranks are.
  [[nodiscard]] const std::vector<RankInfo>& ranks() const { return record_.ranks(); }
  /// Once ready: what names the group.
  [[nodiscard]] const Secret& group() const { return record_.group(); }
  /// Once ready: whether all ranks are threads of this process.
  [[nodiscard]] bool inOneProcess() const { return record_.inOneProcess(); }
  /// From on_address_wanted on: the address at which other hosts reach this one, as the ranks' connections to the hub
  /// show: that of this rank's end or, on the host of the hub, the one at which others have reached it. Only in the
  /// control thread.
  [[nodiscard]] asio::ip::address reachedAt() const;
  /// Once ready, unless in one process: addresses of the transports, [rank].
  [[nodiscard]] const std::vector<std::string>& addresses() const { return record_.addresses(); }

  /// Notes that `exchange`, which this rank has begun, is under way; one that ends at once need not be noted. The hub
  /// is only told if it does not end soon, or if `at_once`: ranks that disagree do not understand each other's
  /// messages, so their exchange never ends. Throws the failure of the group, or of this exchange if a rank has left
  /// before. `signature` is what the hub compares.
  void begin(std::uint64_t exchange, const std::string& signature, bool at_once);
  /// Throws the failure of `exchange` if a rank has left before it. Cheap as long as none has left.
  void throwIfLeft(std::uint64_t exchange) const { record_.throwIfLeft(exchange); }
  /// Notes that this rank has ended all exchanges up to this one.
  void end(std::uint64_t exchange) noexcept { ended_.store(exchange + 1, std::memory_order_relaxed); }

  /// True once all ranks have announced `exchange`, which this rank began with `at_once`.
  [[nodiscard]] bool allAnnounced(std::uint64_t exchange) const;

  /// Other ranks that have not begun `exchange` or have fallen silent, as the hub knows it; the ranks of its process if
  /// it does not answer within a second.
  std::vector<Rank> missing(std::uint64_t exchange);

  /// Gives this rank's part of a gathering.
  void gather(const GatheringId& id, std::string part);
  /// Waits for the parts of all ranks, [rank]. Throws Error.
  std::vector<std::string> awaitGathered(const GatheringId& id, Deadline deadline);

  [[nodiscard]] bool failed() const noexcept { return record_.failed(); }
  [[nodiscard]] Failure failure() const { return record_.failure(); }
  void fail(const Failure& failure) noexcept;
  /// From now on, what fails this group fails that of `other` too, at once if it happened already; null: no other. The
  /// ranks of the other group have other numbers, so it is told of none that is gone.
  void passFailuresTo(const std::shared_ptr<Member>& other) noexcept;

  /// Tells the others that this rank leaves.
  void leave() noexcept;
  /// True if nobody is left who could need this rank, or nobody can say so.
  [[nodiscard]] bool allLeft() const { return record_.allLeft() || controlThreadHasEnded(); }

  /// Waits until the others are told what this rank has said so far, and what the hub had to say if it is in this
  /// process; for a second at most. A failure must not be reported before: the program may end at once, and the others
  /// would learn of its end instead of the cause. Not in the control thread.
  void awaitTold() noexcept;

  /// Closes the connection once everything is sent. The last call.
  void close() noexcept;

 private:
  /// What could not be told at once because memory ran out; tick() tells it.
  struct Overdue {
    std::atomic<bool> failure = false;
    std::atomic<bool> leave = false;
    std::atomic<bool> close = false;
  };

  void connect();
  void greet(asio::ip::tcp::socket socket);
  void onRefused(asio::error_code error);
  void onFrame(MessageType type, std::string_view payload);
  void onClose(const std::string& reason);
  void onFailure(std::string_view payload);
  void send(MessageType type, std::string payload);
  void setFailure(const Failure& failure) noexcept;
  void passFailure(Member& other) const noexcept;
  void tick();
  void scheduleTick();
  void tellOverdue();
  void announceIfLate();
  void closeNow();
  [[nodiscard]] bool hasTold() const;
  [[nodiscard]] std::uint64_t ended() const { return ended_.load(std::memory_order_relaxed); }
  template <typename Wait>
  void await(Deadline deadline, const GatheringId& overdue, const Wait& wait);

  asio::io_context& context_;
  const MemberOptions options_;

  // Control thread only.
  const std::shared_ptr<Connector> connector_;
  asio::steady_timer timer_;
  std::shared_ptr<Connection> connection_;
  int ticks_ = 0;
  bool is_connecting_ = false;
  bool hub_has_failed_ = false;  ///< the hub has told a failure to all
  bool closed_ = false;

  std::atomic<std::uint64_t> ended_ = 0;          ///< exchanges
  std::atomic<std::uint64_t> all_announced_ = 0;  ///< exchanges up to the last that all ranks announced
  Overdue overdue_;
  MemberRecord record_;
  std::mutex passing_mutex_;  ///< guards what follows
  std::weak_ptr<Member> passes_failures_to_;
};

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_MEMBER_H_
