// SPDX-License-Identifier: Apache-2.0
// The meeting point of a group whose ranks are processes: it lives in the process that made the unique id, brings the
// ranks together, and stays connected to each of them for as long as the group exists.
#ifndef SIGNCCL_CONTROL_HUB_H_
#define SIGNCCL_CONTROL_HUB_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "control/announced_exchanges.h"
#include "control/connection.h"
#include "control/gatherings.h"
#include "control/reception.h"
#include "control/unique_id.h"

namespace signccl {

// GCC would warn of designated initializers that leave out a member without one of its own.
// NOLINTBEGIN(readability-redundant-member-init)
struct HubOptions {
  StrangerLimits strangers = {};
  /// How long the hub listens without any rank; unset: forever.
  std::optional<std::chrono::milliseconds> unused_time = {};
  /// Where ranks find a hub that listens at every address of its host; empty: at the one where it listens.
  std::vector<asio::ip::address> addresses = {};
  /// Describes the difference of two signatures of one exchange. The bytes come from ranks, so any bytes must be
  /// accepted.
  std::function<std::string(const std::string& a, Rank rank_a, const std::string& b, Rank rank_b)> describe = {};
};
// NOLINTEND(readability-redundant-member-init)

/// Everything but open() and close() happens in the control thread, so that nothing here is locked. The hub keeps
/// itself alive while it listens or has connections.
class Hub : public std::enable_shared_from_this<Hub> {
 public:
  /// Starts to listen at `address`, whose port may be 0 for any. Throws signcclSystemError if that is impossible.
  static std::shared_ptr<Hub> open(const asio::ip::tcp::endpoint& address, const Secret& secret,
                                   HubOptions options = {});

  /// Where ranks find it.
  [[nodiscard]] const MeetingPoint& meetingPoint() const { return point_; }

  /// Whether the hubs of this context at that point, if any, have told their ranks all that they had to: their process
  /// may end without others missing its last words. In the control thread.
  static bool haveToldAll(asio::io_context& context, const MeetingPoint& point);

  /// Stops listening, for a hub that turned out not to be needed. Any thread.
  void close() noexcept;

  /// A hub that does not listen.
  static std::shared_ptr<Hub> make(asio::io_context& context, const Secret& secret, HubOptions options = {});

  /// Serves a connection, which may be anybody's. In the control thread, as what the listener accepts; tests and
  /// fuzzers bring connections of their own.
  void greet(asio::ip::tcp::socket socket) { reception_->greet(std::move(socket)); }

  /// For make() and open().
  Hub(asio::io_context& context, const Secret& secret, HubOptions options);

 private:
  using ConnectionPointer = std::shared_ptr<Connection>;

  /// What the hub knows of a rank.
  struct RankState {
    ConnectionPointer connection;  ///< null before the rank has joined and after its connection is gone
    HelloMessage hello;
    bool has_joined = false;
    std::uint64_t begun = 0;  ///< exchanges, as of its last heartbeat
    std::chrono::steady_clock::time_point heard;
  };

  void onHello(const ConnectionPointer& connection, HelloMessage hello);
  std::optional<Failure> objectionTo(const HelloMessage& hello) const;
  void welcome(const ConnectionPointer& connection, HelloMessage hello);
  void refuse(const ConnectionPointer& connection, const Failure& failure, bool only_this_one);
  void onFrame(Rank rank, MessageType type, std::string_view payload);
  void onClose(Rank rank, const std::string& reason);
  void onAnnounce(Rank rank, const AnnounceMessage& message);
  void onGather(Rank rank, GatherMessage message);
  void onLeave(Rank rank, std::uint64_t begun);
  void onQuery(Rank rank, std::uint64_t exchange);
  void onOverdue(Rank rank, const GatheringId& gathering);
  void failIfStuck();
  void fail(const Failure& failure);
  void broadcast(MessageType type, std::string_view payload);
  void tick();
  void scheduleTick();
  void closeIfUnwanted();
  [[nodiscard]] std::vector<Rank> notJoined() const;
  [[nodiscard]] bool isConnected() const;
  [[nodiscard]] bool hasToldAll() const;
  [[nodiscard]] bool isComplete() const { return nranks_ > 0 && njoined_ == nranks_; }
  [[nodiscard]] RankState& stateOf(Rank rank) { return ranks_[static_cast<std::size_t>(rank)]; }

  asio::io_context& context_;
  asio::steady_timer timer_;
  const HubOptions options_;
  MeetingPoint point_;
  const std::shared_ptr<Reception> reception_;
  const std::chrono::steady_clock::time_point opened_at_ = std::chrono::steady_clock::now();
  std::atomic<bool> close_asked_ = false;

  int nranks_ = 0;  ///< 0 until the first rank has joined
  int njoined_ = 0;
  int nleft_ = 0;
  std::vector<RankState> ranks_;
  std::vector<bool> left_;  ///< [rank]
  AnnouncedExchanges announced_;
  Gatherings gatherings_;
  std::optional<Failure> failure_;
  std::chrono::steady_clock::time_point failed_at_;
};

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_HUB_H_
