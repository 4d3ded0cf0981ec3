// SPDX-License-Identifier: Apache-2.0
#include "control/connection.h"

#include <exception>
#include <utility>

#include <asio/buffer.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <netinet/tcp.h>

#include "control/own_sockets.h"

namespace signccl {

namespace {

asio::ip::address withoutMapping(const asio::ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
}

}  // namespace

void setSocketOptions(asio::ip::tcp::socket& socket) {
  using UserTimeout = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;
  asio::error_code ignored;  // a socket that is broken already says so when it is used
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(UserTimeout(static_cast<int>(kSilenceLimit.count())), ignored);
}

std::string toText(const asio::ip::tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  const std::string port = std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + address + "]:" + port : address + ":" + port;
}

SharedFrame makeFrame(MessageType type, std::string_view payload) {
  return std::make_shared<const std::string>(encodeFrame({type, payload}));
}

Connection::Connection(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {
  asio::error_code error;
  const auto remote = socket_.remote_endpoint(error);
  peer_ = error ? "unknown" : toText(remote);
  const auto local = socket_.local_endpoint(error);
  if (!error) local_ = withoutMapping(local.address());
  stays_in_host_ = local_.is_loopback() || local.address() == remote.address();
  setSocketOptions(socket_);
  hideFromChildren(socket_.native_handle());
}

void Connection::start(FrameHandler on_frame, CloseHandler on_close) {
  handOver(std::move(on_frame), std::move(on_close));
  readNext();
}

void Connection::handOver(FrameHandler on_frame, CloseHandler on_close) {
  on_frame_ = std::move(on_frame);
  on_close_ = std::move(on_close);
}

void Connection::readNext() {
  const std::span<char> wanted = parser_.wanted();
  asio::async_read(socket_, asio::buffer(wanted.data(), wanted.size()),
                   [self = shared_from_this()](asio::error_code error, std::size_t) { self->onRead(error); });
}

void Connection::onRead(asio::error_code error) {
  if (!on_frame_) return;
  if (error) return fail(error == asio::error::eof ? "closed by the peer" : error.message());
  try {
    if (const auto frame = parser_.advance()) {
      // A copy, since the handler may close the connection, which drops on_frame_.
      const FrameHandler handler = on_frame_;
      handler(frame->type, frame->payload);
    }
    if (on_frame_) readNext();
  } catch (const std::exception& fault) {
    // Also when memory runs out: a connection that nobody reads would pass for a silent rank.
    fail(fault.what());
  }
}

void Connection::send(SharedFrame frame) {
  if (closing_ || !socket_.is_open()) return;
  queue_.push_back(std::move(frame));
  if (queue_.size() == 1) writeNext();
}

void Connection::writeNext() {
  asio::async_write(socket_, asio::buffer(*queue_.front()),
                    [self = shared_from_this()](asio::error_code error, std::size_t) { self->onWritten(error); });
}

void Connection::onWritten(asio::error_code error) {
  // What the peer sent before it closed the connection is still to be read; then reading fails too.
  if (error) return queue_.clear();
  if (queue_.empty()) return;  // closed since the last byte left
  queue_.pop_front();
  try {
    if (!queue_.empty()) {
      writeNext();
    } else if (closing_) {
      close();
    }
  } catch (const std::exception& fault) {
    fail(fault.what());  // out of memory: what is queued would wait forever
  }
}

void Connection::fail(const std::string& reason) {
  const CloseHandler handler = std::move(on_close_);
  close();
  if (handler) handler(reason);
}

void Connection::closeWhenSent() {
  on_frame_ = nullptr;
  on_close_ = nullptr;
  closing_ = true;
  if (queue_.empty()) close();
}

void Connection::close() {
  on_frame_ = nullptr;
  on_close_ = nullptr;
  queue_.clear();
  asio::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace signccl
