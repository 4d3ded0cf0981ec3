// SPDX-License-Identifier: Apache-2.0
#include "control/reception.h"

#include <algorithm>
#include <utility>

#include <asio/ip/v6_only.hpp>
#include <sys/resource.h>

#include "base/log.h"
#include "control/own_sockets.h"
#include "control/wire.h"

namespace signccl {
namespace {

using std::chrono::steady_clock;

/// The descriptors belong to the user's program: strangers must not take all of them.
StrangerLimits limited(StrangerLimits limits) {
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    limits.most = std::min(limits.most, static_cast<std::size_t>(descriptors.rlim_cur / 2));
  }
  return limits;
}

}  // namespace

Reception::Reception(asio::io_context& context, const Secret& secret, const StrangerLimits& limits)
    : acceptor_(context), secret_(secret), limits_(limited(limits)) {}

asio::ip::tcp::endpoint Reception::listen(const asio::ip::tcp::endpoint& address) {
  acceptor_.open(address.protocol());
  hideFromChildren(acceptor_.native_handle());
  acceptor_.set_option(asio::ip::tcp::acceptor::reuse_address(true));
  if (address.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(!address.address().is_unspecified()));
  acceptor_.bind(address);
  acceptor_.listen();
  return {address.address(), acceptor_.local_endpoint().port()};
}

void Reception::stopListening() {
  asio::error_code ignored;
  acceptor_.close(ignored);
}

void Reception::acceptNext() {
  if (!acceptor_.is_open()) return;
  acceptor_.async_accept([self = shared_from_this()](asio::error_code error, asio::ip::tcp::socket socket) {
    self->onAccept(error, std::move(socket));
  });
  accepting_ = true;
}

void Reception::onAccept(asio::error_code error, asio::ip::tcp::socket socket) {
  accepting_ = false;
  if (!acceptor_.is_open()) return;
  if (error) {
    // The connection stays in the kernel's queue, and tick() tries again.
    log(LogLevel::kWarn, Subsystem::kBootstrap, kNoRank, "cannot accept a connection: ", error.message());
    if (error == asio::error::no_descriptors) on_no_descriptor_();
    return;
  }
  acceptNext();  // first, since what follows may run out of memory, and others are to come all the same
  greet(std::move(socket));
}

void Reception::greet(asio::ip::tcp::socket socket) {
  const auto connection = std::make_shared<Connection>(std::move(socket));
  strangers_.push_back({connection, steady_clock::now()});
  dropStrangers();
  connection->start(
      [self = shared_from_this(), connection](MessageType type, std::string_view payload) {
        self->onFrame(connection, type, payload);
      },
      [self = shared_from_this(), connection](const std::string& reason) { self->onClose(connection, reason); });
}

void Reception::onFrame(const ConnectionPointer& connection, MessageType type, std::string_view payload) {
  if (type != MessageType::kHello) WireReader::fail("it does not begin with a greeting");
  HelloMessage hello = decodeHello(payload);
  if (hello.secret != secret_)
    WireReader::fail("it has a wrong secret: another SIGNCCL_COMM_SECRET, or it is of another job");
  taker_(connection, std::move(hello));
  forget(connection);
}

void Reception::onClose(const ConnectionPointer& connection, const std::string& reason) {
  forget(connection);
  log(LogLevel::kWarn, Subsystem::kBootstrap, kNoRank, "dropped a connection from ", connection->peer(), ": ", reason);
}

void Reception::forget(const ConnectionPointer& connection) {
  std::erase_if(strangers_, [&](const Stranger& one) { return one.connection == connection; });
}

void Reception::tick() {
  dropStrangers();
  if (!accepting_) acceptNext();
}

/// Drops strangers that were silent for too long and, if there are too many, those that have been so for longest: a
/// rank greets as soon as it is connected.
void Reception::dropStrangers() {
  const auto now = steady_clock::now();
  while (!strangers_.empty()) {
    const Stranger& oldest = strangers_.front();
    const bool is_late = now - oldest.since >= limits_.greeting_time;
    if (!is_late && strangers_.size() <= limits_.most) return;
    log(LogLevel::kWarn, Subsystem::kBootstrap, kNoRank, "dropped a connection from ", oldest.connection->peer(),
        is_late ? ": it did not say who it is" : ": too many others do not say who they are either");
    oldest.connection->close();
    strangers_.pop_front();
  }
}

}  // namespace signccl
