#include "control/connection.h"

#include <utility>

#include <asio/buffer.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <netinet/tcp.h>

#include "base/error.h"
#include "control/wire.h"

namespace signccl {

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

Connection::Connection(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {
  asio::error_code error;
  const auto remote = socket_.remote_endpoint(error);
  peer_ = error ? "unknown" : toText(remote);
  setSocketOptions(socket_);
}

void Connection::start(FrameHandler on_frame, CloseHandler on_close) {
  on_frame_ = std::move(on_frame);
  on_close_ = std::move(on_close);
  readHeader();
}

void Connection::readHeader() {
  asio::async_read(socket_, asio::buffer(header_), [self = shared_from_this()](asio::error_code error, std::size_t) {
    if (!self->on_frame_) return;
    if (error) return self->fail(error == asio::error::eof ? "it was closed" : error.message());
    WireReader reader({self->header_.data(), self->header_.size()});
    const auto size = reader.number<std::uint32_t>();
    if (size > self->max_frame_) return self->fail("it announced a message of " + std::to_string(size) + " bytes");
    self->readPayload(size);
  });
}

void Connection::readPayload(std::size_t size) {
  payload_.resize(size);
  asio::async_read(socket_, asio::buffer(payload_), [self = shared_from_this()](asio::error_code error, std::size_t) {
    if (!self->on_frame_) return;
    if (error) return self->fail(error == asio::error::eof ? "it was closed" : error.message());
    const auto type = static_cast<std::uint8_t>(self->header_[4]);
    try {
      if (type == 0 || type > static_cast<std::uint8_t>(kLastMessageType)) WireReader::fail("its type is unknown");
      // A copy, since the handler may close the connection, which drops on_frame_.
      const FrameHandler handler = self->on_frame_;
      handler(static_cast<MessageType>(type), self->payload_);
    } catch (const Error& malformed) {
      return self->fail(malformed.what());
    }
    if (self->on_frame_) self->readHeader();
  });
}

void Connection::send(MessageType type, std::string_view payload) {
  if (closing_ || !socket_.is_open()) return;
  WireWriter writer;
  writer.number(static_cast<std::uint32_t>(payload.size())).number(static_cast<std::uint8_t>(type)).raw(payload);
  queue_.push_back(writer.take());
  if (queue_.size() == 1) writeNext();
}

void Connection::writeNext() {
  asio::async_write(socket_, asio::buffer(queue_.front()),
                    [self = shared_from_this()](asio::error_code error, std::size_t) {
                      // What the peer sent before it closed the connection is still to be read; then reading fails too.
                      if (error) return self->queue_.clear();
                      self->queue_.pop_front();
                      if (!self->queue_.empty()) {
                        self->writeNext();
                      } else if (self->closing_) {
                        self->close();
                      }
                    });
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
