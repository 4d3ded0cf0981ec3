#include "launch/frame_socket.h"

#include <cerrno>

#include <asio/buffer.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <netinet/tcp.h>

namespace signccl::launch {
namespace {

/// "SCL1", which strangers and processes of another byte order do not send.
constexpr std::uint32_t kMagic = 0x314c4353;

/// Lets a connection break within about a quarter of a minute after the other host is gone without a word.
void noticeSilence(asio::ip::tcp::socket& socket) {
  asio::error_code ignored;
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>(5), ignored);
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>(2), ignored);
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPCNT>(5), ignored);
}

}  // namespace

FrameSocket::FrameSocket(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {
  asio::error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  noticeSilence(socket_);
}

void FrameSocket::send(Frame frame, SendHandler done) {
  is_sending_ = true;
  out_ = std::move(frame);
  out_header_ = {kMagic, out_.type, out_.payload.size()};
  const std::array<asio::const_buffer, 2> buffers = {asio::buffer(&out_header_, sizeof out_header_),
                                                     asio::buffer(out_.payload)};
  asio::async_write(socket_, buffers,
                    [self = shared_from_this(), done = std::move(done)](asio::error_code error, std::size_t) {
                      self->is_sending_ = false;
                      done(error);
                    });
}

void FrameSocket::receive(std::size_t max_bytes, const ReceiveHandler& done) {
  const auto read_payload = [self = shared_from_this(), max_bytes, done](asio::error_code error, std::size_t) {
    if (!error && self->in_header_.magic != kMagic) error = asio::error_code(EPROTO, asio::system_category());
    if (!error && self->in_header_.bytes > max_bytes) error = asio::error::message_size;
    if (error) return done(error, {});
    self->in_.type = self->in_header_.type;
    self->in_.payload.resize(self->in_header_.bytes);
    asio::async_read(self->socket_, asio::buffer(self->in_.payload), [self, done](asio::error_code inner, std::size_t) {
      done(inner, inner ? Frame{} : std::move(self->in_));
    });
  };
  asio::async_read(socket_, asio::buffer(&in_header_, sizeof in_header_), read_payload);
}

void FrameSocket::close() {
  asio::error_code ignored;
  socket_.close(ignored);
}

}  // namespace signccl::launch
