// A rank's side of the control plane: its connection to the hub of its group.
#ifndef SIGNCCL_CONTROL_MEMBER_H_
#define SIGNCCL_CONTROL_MEMBER_H_

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "control/connection.h"
#include "control/unique_id.h"

namespace signccl {

struct MemberOptions {
  MeetingPoint point;
  bool may_be_early = false;  ///< the hub may not listen yet, so a refused connection is no reason to give up
  Rank rank = 0;
  int nranks = 0;
  RankInfo info;
  SharedSettings settings;
  /// Makes the transport and gives its address; called in the control thread once all ranks have come, unless they are
  /// all in one process. May throw Error.
  std::function<std::string()> make_address;
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

  /// Once ready: who the ranks are.
  [[nodiscard]] const std::vector<RankInfo>& ranks() const { return ranks_; }
  /// Once ready: what names the group.
  [[nodiscard]] const Secret& group() const { return group_; }
  /// Once ready: whether all ranks are threads of this process.
  [[nodiscard]] bool inOneProcess() const;
  /// Once ready, unless in one process: addresses of the transports, [rank].
  [[nodiscard]] const std::vector<std::string>& addresses() const { return addresses_; }

  /// Notes that `exchange`, which this rank has begun, is under way; one that ends at once need not be noted. The hub
  /// is only told if it does not end soon, or if `at_once`: ranks that disagree do not understand each other's
  /// messages, so their exchange never ends. Throws the failure of the group, or of this exchange if a rank has left
  /// before.
  void begin(std::uint64_t exchange, const ExchangeSignature& signature, bool at_once);
  /// Throws the failure of `exchange` if a rank has left before it. Cheap as long as none has left.
  void throwIfLeft(std::uint64_t exchange) const;
  /// Notes that this rank has ended all exchanges up to this one.
  void end(std::uint64_t exchange) noexcept { ended_.store(exchange + 1, std::memory_order_relaxed); }

  /// True once all ranks have announced `exchange`, which this rank began with `at_once`.
  [[nodiscard]] bool allAnnounced(std::uint64_t exchange) const;

  /// Other ranks that have not begun `exchange` or have fallen silent, as the hub knows it; the ranks of its process if
  /// it does not answer within a second.
  std::vector<Rank> missing(std::uint64_t exchange);

  /// Gives this rank's part of a gathering.
  void gather(std::uint64_t number, std::string part);
  /// Waits for the parts of all ranks, [rank]. Throws Error.
  std::vector<std::string> awaitGathered(std::uint64_t number, Deadline deadline);

  [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }
  [[nodiscard]] Failure failure() const;
  void fail(const Failure& failure) noexcept;
  /// From now on, what fails this group fails that of `other` too, at once if it happened already; null: no other.
  void passFailuresTo(const std::shared_ptr<Member>& other);

  /// Tells the others that this rank takes part no more.
  void leave() noexcept;
  /// True if nobody is left who could need this rank, or nobody can say so.
  [[nodiscard]] bool allLeft() const;

  /// Closes the connection once everything is sent. The last call.
  void close() noexcept;

 private:
  void connect();
  void retry(const std::string& reason);
  void greet(asio::ip::tcp::socket socket);
  void onFrame(MessageType type, std::string_view payload);
  void onClose(const std::string& reason);
  void onRoster(std::string_view payload);
  void onGathered(std::string_view payload);
  void onLeft(std::string_view payload);
  void send(MessageType type, std::string payload);
  void setFailure(const Failure& failure);
  void tick();
  void scheduleTick();
  void announceIfLate();
  void throwIfFailedLocked() const;
  void throwIfLeftLocked(std::uint64_t exchange) const;
  [[nodiscard]] std::uint64_t begunLocked() const;
  [[nodiscard]] std::vector<Rank> ranksOfHub() const;
  template <typename Done>
  void await(Deadline deadline, std::uint64_t overdue, const Done& done);

  asio::io_context& context_;
  const MemberOptions options_;

  // Control thread only.
  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_;
  asio::steady_timer connect_timer_;
  std::shared_ptr<Connection> connection_;
  int attempts_ = 0;
  int ticks_ = 0;
  bool closed_ = false;

  std::atomic<bool> failed_ = false;
  std::atomic<std::uint64_t> ended_ = 0;          ///< exchanges
  std::atomic<std::uint64_t> all_announced_ = 0;  ///< exchanges up to the last that all ranks announced
  std::atomic<bool> some_left_ = false;

  mutable std::mutex mutex_;  ///< guards what follows
  std::condition_variable changed_;
  std::vector<RankInfo> ranks_;  ///< not changed any more once ready
  std::vector<std::string> addresses_;
  Secret group_{};
  std::uint64_t hub_process_ = 0;
  bool ready_ = false;
  bool all_left_ = false;
  bool has_left_ = false;
  std::map<std::uint64_t, std::vector<std::string>> gathered_;
  std::optional<MissingMessage> missing_;
  std::vector<std::optional<std::uint64_t>> left_;  ///< [rank] exchanges that it took part in, if it has left
  Failure failure_;
  std::weak_ptr<Member> passes_failures_to_;
  std::uint64_t begun_ = 0;    ///< exchanges up to the last that was noted; see begunLocked()
  int ticks_under_way_ = 0;    ///< of the last exchange noted; begin() is no place to read a clock
  ExchangeSignature current_;  ///< of the last exchange noted
  bool announced_ = true;      ///< the hub has been told about it
};

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_MEMBER_H_
