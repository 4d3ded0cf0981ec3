// SPDX-License-Identifier: Apache-2.0
// A TCP connection of the control plane: frames with a type and a payload.
#ifndef SIGNCCL_CONTROL_CONNECTION_H_
#define SIGNCCL_CONTROL_CONNECTION_H_

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <asio/ip/tcp.hpp>

#include "control/frame.h"

namespace signccl {

/// How long the kernel of a peer may leave bytes unacknowledged before the connection counts as broken. The kernel of a
/// process that is merely stopped still acknowledges, but only what fits its receive buffer (net.ipv4.tcp_rmem, by
/// default 64 KiB of payload): a process that stays stopped while it is sent more than that counts as unreachable too.
inline constexpr std::chrono::milliseconds kSilenceLimit{3500};
/// How often each side says something, so that there is always something to acknowledge.
inline constexpr std::chrono::milliseconds kHeartbeatInterval{500};

/// An encoded frame. Shared, since the queues of all connections that it is sent to hold it: a roster of N ranks that
/// was copied for each of them would take N * N times the bytes of an entry.
using SharedFrame = std::shared_ptr<const std::string>;

/// Throws signcclInternalError for a payload that no peer would accept.
SharedFrame makeFrame(MessageType type, std::string_view payload);

/// Used in the control thread only. Handlers are called there, and not after close().
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using FrameHandler = std::function<void(MessageType, std::string_view payload)>;
  using CloseHandler = std::function<void(const std::string& reason)>;

  explicit Connection(asio::ip::tcp::socket socket);

  /// Starts reading. What `on_frame` throws closes the connection like a fault of the network: `on_close` is called
  /// once with the reason, unless close() came before.
  void start(FrameHandler on_frame, CloseHandler on_close);

  /// Has other handlers take over from those that start() was given. May be called by these.
  void handOver(FrameHandler on_frame, CloseHandler on_close);

  /// Queues a frame.
  void send(SharedFrame frame);
  void send(MessageType type, std::string_view payload) { send(makeFrame(type, payload)); }

  /// True if nothing is queued.
  [[nodiscard]] bool idle() const { return queue_.empty(); }

  /// Accepts larger frames from now on.
  void trust() { parser_.trust(); }

  /// Closes once everything that is queued has been sent. No handler is called any more.
  void closeWhenSent();
  void close();

  /// "host:port" of the other end, as known when the connection was made.
  [[nodiscard]] const std::string& peer() const { return peer_; }
  /// The address of this end, as known then; an IPv4 address also where the socket serves both families.
  [[nodiscard]] const asio::ip::address& localAddress() const { return local_; }
  /// Whether both ends are on one host, as far as their addresses tell.
  [[nodiscard]] bool staysInHost() const { return stays_in_host_; }

 private:
  void readNext();
  void onRead(asio::error_code error);
  void writeNext();
  void onWritten(asio::error_code error);
  void fail(const std::string& reason);

  asio::ip::tcp::socket socket_;
  std::string peer_;
  asio::ip::address local_;
  bool stays_in_host_ = false;
  FrameHandler on_frame_;
  CloseHandler on_close_;
  FrameParser parser_;
  std::deque<SharedFrame> queue_;
  bool closing_ = false;
};

/// Sets what all sockets of the control plane have: no delay, and the silence limit.
void setSocketOptions(asio::ip::tcp::socket& socket);

/// "10.0.0.1:4711"
std::string toText(const asio::ip::tcp::endpoint& endpoint);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_CONNECTION_H_
