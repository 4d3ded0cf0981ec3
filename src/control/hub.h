// The meeting point of a group whose ranks are processes: it lives in the process that made the unique id, brings the
// ranks together, and stays connected to each of them for as long as the group exists.
#ifndef SIGNCCL_CONTROL_HUB_H_
#define SIGNCCL_CONTROL_HUB_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "control/connection.h"
#include "control/unique_id.h"

namespace signccl {

/// The number of the gathering in which ranks exchange the addresses of their transports; splits come after it.
inline constexpr std::uint64_t kAddressGathering = 0;
/// In kOverdue, instead of a gathering: that all ranks join.
inline constexpr std::uint64_t kJoining = ~std::uint64_t{0};

/// What connections may do that have not said who they are.
struct StrangerLimits {
  std::chrono::milliseconds greeting_time{10'000};  ///< how long one may take to say it
  std::size_t most = 1024;                          ///< at once, and at most half of the descriptors of the process
};

/// Everything but open() and close() happens in the control thread, so that nothing here is locked. The hub keeps
/// itself alive while it listens or has connections.
class Hub : public std::enable_shared_from_this<Hub> {
 public:
  /// Starts to listen at `address`, whose port may be 0 for any. Throws signcclSystemError if that is impossible.
  static std::shared_ptr<Hub> open(const asio::ip::tcp::endpoint& address, const Secret& secret,
                                   const StrangerLimits& limits = {});

  /// Where ranks find it.
  [[nodiscard]] const MeetingPoint& meetingPoint() const { return point_; }

  /// Listens no more, for a hub that turned out not to be needed. Any thread.
  void close();

  /// A hub that does not listen.
  Hub(asio::io_context& context, const Secret& secret, const StrangerLimits& limits);

  /// Serves a connection, which may be anybody's. In the control thread, as what the listener accepts; tests and
  /// fuzzers bring connections of their own.
  void greet(asio::ip::tcp::socket socket);

 private:
  /// A connection, and the rank behind it once that is known.
  struct Link {
    explicit Link(std::shared_ptr<Connection> made) : connection(std::move(made)) {}
    std::shared_ptr<Connection> connection;
    Rank rank = -1;
    std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
  };
  using LinkPointer = std::shared_ptr<Link>;

  struct Member {
    LinkPointer link;  ///< null before the rank has joined and after its connection is gone
    HelloMessage hello;
    bool has_joined = false;
    bool has_left = false;
    std::uint64_t begun = 0;  ///< exchanges, as of its last heartbeat
    std::chrono::steady_clock::time_point heard;
  };

  struct Announced {
    Rank first_rank = -1;
    ExchangeSignature signature;
    std::set<Rank> ranks;
  };

  struct Gathering {
    std::vector<std::optional<std::string>> parts;
    Rank first_rank = -1;
    std::size_t present = 0;
  };

  void listen(const asio::ip::tcp::endpoint& address);
  void acceptNext();
  void onFrame(const LinkPointer& link, MessageType type, std::string_view payload);
  void onClose(const LinkPointer& link, const std::string& reason);
  void onHello(const LinkPointer& link, std::string_view payload);
  std::optional<Failure> objectionTo(const HelloMessage& hello) const;
  void welcome(const LinkPointer& link, HelloMessage hello);
  void refuse(const LinkPointer& link, const Failure& failure, bool only_this_one);
  void onAnnounce(Rank rank, AnnounceMessage message);
  void onGather(Rank rank, GatherMessage message);
  void onLeave(Rank rank, std::uint64_t begun);
  void onQuery(const Link& link, std::uint64_t exchange);
  void onOverdue(Rank rank, std::uint64_t what);
  void failIfLeft(std::uint64_t number, const Gathering& gathering);
  void fail(const Failure& failure);
  void broadcast(MessageType type, std::string_view payload);
  void tick();
  void scheduleTick();
  void dropStrangers();
  [[nodiscard]] std::vector<Rank> notJoined() const;
  [[nodiscard]] bool isComplete() const { return nranks_ > 0 && njoined_ == nranks_; }
  [[nodiscard]] Member& member(Rank rank) { return members_[static_cast<std::size_t>(rank)]; }

  asio::io_context& context_;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer timer_;
  asio::steady_timer accept_timer_;
  const StrangerLimits limits_;
  MeetingPoint point_;

  int nranks_ = 0;  ///< 0 until the first rank has come
  int njoined_ = 0;
  int nleft_ = 0;
  std::vector<Member> members_;
  std::deque<LinkPointer> strangers_;  ///< connections that have not said who they are, the oldest first
  std::map<std::uint64_t, Announced> announced_;
  std::map<std::uint64_t, Gathering> gatherings_;
  std::optional<Failure> failure_;
  std::chrono::steady_clock::time_point failed_at_;
};

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_HUB_H_
