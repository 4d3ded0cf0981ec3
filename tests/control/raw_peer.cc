// SPDX-License-Identifier: Apache-2.0
#include "control/raw_peer.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "control/eventually.h"
#include "control/wire.h"

namespace signccl {
namespace {

void check(bool good, const char* call) {
  if (!good) throw std::runtime_error(std::string(call) + ": " + std::strerror(errno));
}

int newSocket() {
  const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(made >= 0, "socket");
  return made;
}

}  // namespace

RawPeer::RawPeer(const asio::ip::tcp::endpoint& address) : RawPeer(newSocket()) {
  check(::connect(socket_, address.data(), static_cast<socklen_t>(address.size())) == 0, "connect");
}

RawPeer::RawPeer(int socket) : socket_(socket) {
  const timeval longest{std::chrono::seconds(kPatience).count(), 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
  const int yes = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

RawPeer::~RawPeer() { close(); }

void RawPeer::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void RawPeer::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string RawPeer::receive(std::size_t size) const {
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = ::recv(socket_, bytes.data() + have, size - have, 0);
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

std::optional<SentFrame> RawPeer::receiveFrame() const {
  const std::string header = receive(5);
  if (header.size() < 5) return std::nullopt;
  WireReader reader(header);
  const auto size = reader.number<std::uint32_t>();
  const auto type = static_cast<MessageType>(reader.number<std::uint8_t>());
  return SentFrame{type, receive(size)};
}

std::optional<SentFrame> RawPeer::receiveMessage() const {
  std::optional<SentFrame> frame = receiveFrame();
  const Deadline deadline = in(kPatience);
  while (frame && frame->type == MessageType::kHeartbeat) {
    if (std::chrono::steady_clock::now() > deadline) return std::nullopt;
    frame = receiveFrame();
  }
  return frame;
}

bool RawPeer::isDropped() const {
  std::array<char, 4096> rest{};
  ssize_t got = 0;
  do got = ::recv(socket_, rest.data(), rest.size(), 0);
  while (got > 0);
  return got == 0 || errno == ECONNRESET;
}

bool RawPeer::isOpenAndSilent() const {
  char byte = 0;
  return ::recv(socket_, &byte, 1, MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

RawListener::RawListener() : socket_(newSocket()), address_(asio::ip::address_v4::loopback(), 0) {
  check(::bind(socket_, address_.data(), static_cast<socklen_t>(address_.size())) == 0, "bind");
  check(::listen(socket_, SOMAXCONN) == 0, "listen");
  auto size = static_cast<socklen_t>(address_.capacity());
  check(::getsockname(socket_, address_.data(), &size) == 0, "getsockname");
}

RawListener::~RawListener() { ::close(socket_); }

RawPeer RawListener::accept() const {
  const int accepted = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
  check(accepted >= 0, "accept");
  return RawPeer(accepted);
}

}  // namespace signccl
