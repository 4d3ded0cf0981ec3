// SPDX-License-Identifier: Apache-2.0
#include "control/connector.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "control/connection.h"
#include "control/own_sockets.h"

namespace signccl {
namespace {

/// The pause after the first attempt, and the longest pause.
constexpr std::chrono::milliseconds kFirstPause{20};
constexpr std::chrono::milliseconds kLongestPause{500};
/// Attempts at a hub that must be listening already: more than one, since a full queue refuses too.
constexpr std::size_t kAttemptsIfListening = 4;

}  // namespace

Connector::Connector(asio::io_context& context, ConnectorOptions options)
    : options_(std::move(options)), context_(context), socket_(context), timer_(context) {}

void Connector::start(Connected connected, Refused refused) {
  connected_ = std::move(connected);
  refused_ = std::move(refused);
  attempt();
}

void Connector::stop() {
  stopped_ = true;
  connected_ = nullptr;
  refused_ = nullptr;
  timer_.cancel();
  asio::error_code ignored;
  socket_.close(ignored);
}

void Connector::attempt() {
  if (stopped_) return;
  const asio::ip::tcp::endpoint& address = options_.addresses[attempts_ % options_.addresses.size()];
  ++attempts_;
  socket_ = asio::ip::tcp::socket(context_);
  asio::error_code refusal;
  socket_.open(address.protocol(), refusal);
  if (refusal == asio::error::no_descriptors) return refuse(refusal);
  if (refusal) return retry(refusal.message());
  hideFromChildren(socket_.native_handle());
  timer_.expires_after(options_.attempt_time);
  timer_.async_wait([self = shared_from_this(), number = attempts_](asio::error_code error) {
    asio::error_code ignored;
    if (!error && number == self->attempts_) self->socket_.close(ignored);
  });
  socket_.async_connect(address, [self = shared_from_this()](asio::error_code error) { self->onAttempt(error); });
}

void Connector::onAttempt(asio::error_code error) {
  timer_.cancel();
  if (stopped_) return;
  // Connecting and the end of the attempt's time may come together, in either order: a socket that was closed meanwhile
  // is of no use although it was connected.
  if (!error && !socket_.is_open()) error = asio::error::timed_out;
  if (!error && isConnectedToItself(socket_)) error = asio::error::connection_refused;
  if (!error) {
    refused_ = nullptr;
    return std::exchange(connected_, nullptr)(std::move(socket_));
  }
  asio::error_code ignored;
  socket_.close(ignored);  // it may hold the very port that the hub is to listen at
  const bool is_last = !options_.may_be_early && attempts_ >= kAttemptsIfListening * options_.addresses.size();
  if (error == asio::error::connection_refused && is_last) return refuse(error);
  retry(error.message());
}

void Connector::refuse(asio::error_code error) {
  connected_ = nullptr;
  std::exchange(refused_, nullptr)(error);
}

bool isConnectedToItself(const asio::ip::tcp::socket& socket) {
  asio::error_code error;
  const auto local = socket.local_endpoint(error);
  return !error && local == socket.remote_endpoint(error) && !error;
}

void Connector::retry(const std::string& reason) {
  const std::size_t naddresses = options_.addresses.size();
  log(LogLevel::kTrace, Subsystem::kBootstrap, options_.rank, "cannot connect to ",
      toText(options_.addresses[(attempts_ - 1) % naddresses]), ": ", reason, "; tries again");
  const std::size_t rounds = attempts_ / naddresses;
  const auto pause = std::min(kFirstPause * (1 << std::min<std::size_t>(rounds, 10)), kLongestPause);
  timer_.expires_after(attempts_ % naddresses == 0 ? pause : std::chrono::milliseconds(0));
  timer_.async_wait([self = shared_from_this()](asio::error_code error) {
    if (!error) self->attempt();
  });
}

}  // namespace signccl
