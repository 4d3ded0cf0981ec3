#include "launch/links.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

#include <asio/connect.hpp>

#include "launch/error.h"

namespace signccl::launch {
namespace {

using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr std::size_t kMaxStrangerBytes = 4096;
constexpr std::size_t kMaxDataBytes = std::size_t{1} << 30;
/// An address that does not answer, such as that of a bridge of the other host, gives way to the next.
constexpr auto kAttemptTime = 3s;
constexpr auto kPauseBetweenAttempts = 50ms;
/// Process 0 knows which process is late, so it gives up first and can say it to the others.
constexpr auto kHeadStart = 2s;
constexpr auto kFarewellTime = 1s;

/// The start of a hello; the secret follows.
struct Hello {
  std::uint64_t nonce;
  std::int32_t process;
  std::int32_t nprocesses;
};

std::uint64_t randomNumber() {
  std::random_device random;
  return (std::uint64_t{random()} << 32U) + random();
}

std::string secondsText(std::chrono::milliseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::duration<double>>(time).count()).substr(0, 5) + " s";
}

}  // namespace

/// One try to reach process 0. Handlers of a try that was given up still find it.
struct Links::Attempt {
  bool is_done = false;
  asio::error_code error;

  void end(asio::error_code with) {
    is_done = true;
    error = with;
  }
};

Links::Links(ListeningSocket socket, const Party& party)
    : party_(party), nonce_(randomNumber()), links_(static_cast<std::size_t>(party.place.nprocesses)) {
  // The family matters when a socket is opened only.
  acceptor_.assign(tcp::v4(), socket.release());
  for (std::size_t process = 1; process < links_.size(); ++process) links_[process].is_waited_for = true;
  acceptNext();
  waitForAll(Clock::now() + party_.join_timeout, "to come within " + secondsText(party_.join_timeout));
  asio::error_code ignored;
  acceptor_.close(ignored);
}

void Links::acceptNext() {
  acceptor_.async_accept([this](asio::error_code error, tcp::socket accepted) {
    if (error == asio::error::operation_aborted) return;
    acceptNext();
    if (error) return;
    const auto socket = std::make_shared<FrameSocket>(std::move(accepted));
    socket->receive(kMaxStrangerBytes, [this, socket](asio::error_code unread, const Frame& frame) {
      if (!unread) greet(socket, frame);
    });
  });
}

void Links::greet(const SocketPointer& socket, const Frame& frame) {
  Hello hello{};
  const bool is_ours = frame.type == FrameType::kHello && frame.payload.size() >= sizeof hello &&
                       frame.payload.compare(sizeof hello, std::string::npos, party_.secret) == 0;
  if (!is_ours) return socket->close();
  std::memcpy(&hello, frame.payload.data(), sizeof hello);
  if (const auto objection = objectionTo(hello.process, hello.nprocesses, hello.nonce)) {
    refused_ = socket;
    return noteFailure(*objection);
  }
  Link& link = links_[static_cast<std::size_t>(hello.process)];
  link = {socket, hello.nonce, true};
  socket->send({FrameType::kWelcome, {}}, [&link, socket](asio::error_code error) {
    if (link.socket == socket) link.is_waited_for = bool(error);
  });
}

std::optional<std::string> Links::objectionTo(int process, int nprocesses, std::uint64_t nonce) const {
  const int expected = party_.place.nprocesses;
  const std::string number = std::to_string(process);
  if (nprocesses != expected) {
    return "process " + number + " expects " + std::to_string(nprocesses) + " processes, process 0 expects " +
           std::to_string(expected);
  }
  if (process < 1 || process >= expected) {
    return "one more process calls itself process " + number + ", expected 1 to " + std::to_string(expected - 1);
  }
  const Link& link = links_[static_cast<std::size_t>(process)];
  if (link.socket && link.nonce != nonce) {
    return "two processes call themselves process " + number + ", expected each number once";
  }
  return std::nullopt;
}

Links::Links(const std::vector<Address>& addresses, const Party& party)
    : party_(party), nonce_(randomNumber()), links_(1) {
  const auto deadline = Clock::now() + party_.join_timeout;
  std::string problem = "no address is known";
  while (!links_[0].socket && Clock::now() < deadline) {
    for (const Address& address : addresses) {
      const auto error = tryToConnect(address, std::min(deadline, Clock::now() + kAttemptTime));
      if (failure_) fail();
      if (!error) break;
      problem = toText(address) + ": " + *error;
    }
    if (!links_[0].socket) std::this_thread::sleep_for(kPauseBetweenAttempts);
  }
  if (!links_[0].socket) {
    noteFailure("process " + std::to_string(party_.place.process) + " has not reached process 0 within " +
                secondsText(party_.join_timeout) + ": " + problem);
    fail();
  }
}

std::optional<std::string> Links::tryToConnect(const Address& address, Clock::time_point deadline) {
  tcp::resolver resolver(context_);
  asio::error_code unresolved;
  const auto endpoints = resolver.resolve(address.host, std::to_string(address.port), unresolved);
  if (unresolved) return unresolved.message();
  const auto attempt = std::make_shared<Attempt>();
  const auto socket = std::make_shared<tcp::socket>(context_);
  asio::async_connect(*socket, endpoints, [this, attempt, socket](asio::error_code error, const tcp::endpoint&) {
    if (error) return attempt->end(error);
    sayHello(std::make_shared<FrameSocket>(std::move(*socket)), attempt);
  });
  runUntil(deadline, [&] { return attempt->is_done; });
  if (links_[0].socket) return std::nullopt;
  if (!attempt->is_done) attempt->end(asio::error::timed_out);
  asio::error_code ignored;
  socket->close(ignored);
  // Process 0 closes the connection of those who do not know the secret.
  const bool was_turned_away = attempt->error == asio::error::eof || attempt->error == asio::error::connection_reset;
  return attempt->error.message() + (was_turned_away ? "; is SIGNCCL_COMM_SECRET the same on all processes?" : "");
}

void Links::sayHello(const SocketPointer& socket, const std::shared_ptr<Attempt>& attempt) {
  if (attempt->is_done) return;
  const Hello hello{nonce_, party_.place.process, party_.place.nprocesses};
  std::string payload(reinterpret_cast<const char*>(&hello), sizeof hello);
  socket->send({FrameType::kHello, payload + party_.secret}, [attempt](asio::error_code error) {
    if (error) attempt->end(error);
  });
  socket->receive(kMaxStrangerBytes, [this, socket, attempt](asio::error_code error, const Frame& frame) {
    if (attempt->is_done) return;
    attempt->end(error);
    if (error) return;
    if (frame.type == FrameType::kAbort) return noteFailure(frame.payload);
    if (frame.type == FrameType::kWelcome) links_[0].socket = socket;
  });
}

void Links::send(const std::string& payload) {
  if (failure_) fail();
  for (std::size_t process = 0; process < links_.size(); ++process) {
    Link& link = links_[process];
    if (!link.socket) continue;
    link.is_waited_for = true;
    link.socket->send({FrameType::kData, payload}, [this, &link, process](asio::error_code error) {
      link.is_waited_for = false;
      if (error) noteFailure("process " + std::to_string(process) + " is gone: " + error.message());
    });
  }
  waitForAll(operationDeadline(), "to take data for " + secondsText(party_.timeout));
}

std::vector<std::string> Links::receive() {
  if (failure_) fail();
  std::vector<std::string> payloads(links_.size());
  for (std::size_t process = 0; process < links_.size(); ++process) {
    Link& link = links_[process];
    if (!link.socket) continue;
    link.is_waited_for = true;
    link.socket->receive(kMaxDataBytes,
                         [this, process, &payload = payloads[process]](asio::error_code error, Frame frame) {
                           onData(process, error, std::move(frame), payload);
                         });
  }
  waitForAll(operationDeadline(), "for " + secondsText(party_.timeout));
  return payloads;
}

void Links::onData(std::size_t process, asio::error_code error, Frame frame, std::string& payload) {
  links_[process].is_waited_for = false;
  if (error) return noteFailure("process " + std::to_string(process) + " is gone: " + error.message());
  if (frame.type == FrameType::kAbort) return noteFailure(std::move(frame.payload));
  if (frame.type != FrameType::kData) {
    return noteFailure("process " + std::to_string(process) + " sent a frame of type " +
                       std::to_string(static_cast<std::uint32_t>(frame.type)) + ", expected data");
  }
  payload = std::move(frame.payload);
}

void Links::abort(const std::string& reason) noexcept {
  if (failure_) return;
  try {
    failure_ = "process " + std::to_string(party_.place.process) + " failed: " + reason;
    tellAndClose(*failure_);
  } catch (const std::exception&) {
    // The others still see that the connections close.
    links_.clear();
  }
}

void Links::noteFailure(std::string reason) {
  if (!failure_) failure_ = std::move(reason);
}

void Links::runUntil(Clock::time_point deadline, const std::function<bool()>& done) {
  while (!failure_ && !done()) {
    context_.restart();
    if (context_.run_one_until(deadline) == 0) return;
  }
}

void Links::waitForAll(Clock::time_point deadline, const std::string& what) {
  runUntil(deadline, [this] { return !isWaiting(); });
  if (isWaiting()) {
    noteFailure("process " + std::to_string(party_.place.process) + " waited in vain for " + namesOfMissing() + " " +
                what);
  }
  if (failure_) fail();
}

bool Links::isWaiting() const { return std::ranges::any_of(links_, &Link::is_waited_for); }

std::string Links::namesOfMissing() const {
  std::string names;
  for (std::size_t process = 0; process < links_.size(); ++process) {
    if (links_[process].is_waited_for) names += (names.empty() ? "" : ", ") + std::to_string(process);
  }
  return "process " + names;
}

Links::Clock::time_point Links::operationDeadline() const {
  return Clock::now() + party_.timeout + (isHub() ? 0s : kHeadStart);
}

void Links::tellAndClose(const std::string& reason) {
  int unsent = 0;
  const auto tell = [&](const SocketPointer& socket) {
    // What is half sent cannot be followed by anything.
    if (!socket || socket->isSending()) return;
    ++unsent;
    socket->send({FrameType::kAbort, reason}, [&unsent](asio::error_code) { --unsent; });
  };
  for (const Link& link : links_) tell(link.socket);
  tell(refused_);
  const auto deadline = Clock::now() + kFarewellTime;
  while (unsent > 0) {
    context_.restart();
    if (context_.run_one_until(deadline) == 0) break;
  }
  for (Link& link : links_) {
    if (link.socket) link.socket->close();
    link = {};
  }
}

void Links::fail() {
  const std::string reason = *failure_;
  tellAndClose(reason);
  throw LaunchError(reason);
}

}  // namespace signccl::launch
