// SPDX-License-Identifier: Apache-2.0
// A peer of the control plane that sends whatever bytes a test wants, over a plain socket.
#ifndef SIGNCCL_TESTS_CONTROL_RAW_PEER_H_
#define SIGNCCL_TESTS_CONTROL_RAW_PEER_H_

#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include <asio/ip/tcp.hpp>

#include "control/frame.h"

namespace signccl {

/// A frame that owns its payload.
struct SentFrame {
  MessageType type = MessageType::kHello;
  std::string payload;

  friend bool operator==(const SentFrame&, const SentFrame&) = default;
  friend std::ostream& operator<<(std::ostream& stream, const SentFrame& frame) {
    return stream << "type " << static_cast<int>(frame.type) << " with " << frame.payload.size() << " bytes";
  }
};

class RawPeer {
 public:
  /// Connects.
  explicit RawPeer(const asio::ip::tcp::endpoint& address);
  /// Owns a connected socket.
  explicit RawPeer(int socket);
  ~RawPeer();
  RawPeer(RawPeer&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  RawPeer& operator=(RawPeer&&) = delete;

  /// Sends what the other side still takes.
  void send(std::string_view bytes) const;
  void send(MessageType type, std::string_view payload) const { send(encodeFrame({type, payload})); }

  /// The next bytes: fewer if the connection ends, or if nothing comes for minutes.
  [[nodiscard]] std::string receive(std::size_t size) const;
  /// The next frame; nothing if none comes.
  [[nodiscard]] std::optional<SentFrame> receiveFrame() const;
  /// The next frame that is no heartbeat.
  [[nodiscard]] std::optional<SentFrame> receiveMessage() const;

  /// Reads to the end: whether the other side closes the connection.
  [[nodiscard]] bool isDropped() const;
  /// Whether the other side has not closed the connection and sent nothing.
  [[nodiscard]] bool isOpenAndSilent() const;

  /// Ends the connection with what was sent so far.
  void close();
  /// Gives the socket away.
  [[nodiscard]] int release() { return std::exchange(socket_, -1); }

 private:
  int socket_ = -1;
};

/// A listener at a free port of the loopback interface.
class RawListener {
 public:
  RawListener();
  ~RawListener();
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;

  [[nodiscard]] const asio::ip::tcp::endpoint& address() const { return address_; }
  [[nodiscard]] RawPeer accept() const;

 private:
  int socket_ = -1;
  asio::ip::tcp::endpoint address_;
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_CONTROL_RAW_PEER_H_
