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
constexpr int kAttemptsIfListening = 4;

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
  ++attempts_;
  socket_ = asio::ip::tcp::socket(context_);
  asio::error_code refusal;
  socket_.open(options_.address.protocol(), refusal);
  if (refusal) return retry(refusal.message());  // out of descriptors, most likely
  hideFromChildren(socket_.native_handle());
  timer_.expires_after(options_.attempt_time);
  timer_.async_wait([self = shared_from_this(), number = attempts_](asio::error_code error) {
    asio::error_code ignored;
    if (!error && number == self->attempts_) self->socket_.close(ignored);
  });
  socket_.async_connect(options_.address,
                        [self = shared_from_this()](asio::error_code error) { self->onAttempt(error); });
}

void Connector::onAttempt(asio::error_code error) {
  timer_.cancel();
  if (stopped_) return;
  // Connecting and the end of the attempt's time may come together, in either order: a socket that was closed meanwhile
  // is of no use although it was connected.
  if (!error && !socket_.is_open()) error = asio::error::timed_out;
  if (!error) {
    refused_ = nullptr;
    return std::exchange(connected_, nullptr)(std::move(socket_));
  }
  const bool is_last = !options_.may_be_early && attempts_ >= kAttemptsIfListening;
  if (error == asio::error::connection_refused && is_last) {
    connected_ = nullptr;
    return std::exchange(refused_, nullptr)();
  }
  retry(error.message());
}

void Connector::retry(const std::string& reason) {
  log(LogLevel::kTrace, Subsystem::kBootstrap, options_.rank, "cannot connect to ", toText(options_.address), ": ",
      reason, "; tries again");
  timer_.expires_after(std::min(kFirstPause * (1 << std::min(attempts_, 10)), kLongestPause));
  timer_.async_wait([self = shared_from_this()](asio::error_code error) {
    if (!error) self->attempt();
  });
}

}  // namespace signccl
