// SPDX-License-Identifier: Apache-2.0
// A hub as its peers see it: connections over socket pairs, served by one thread, so that an input always does the
// same. Whatever strangers send, a rank that comes after them must still get its roster; unless one of them knew the
// secret, which seeds have, so that what ranks may send is tried too.
//
// An input is a list of steps: connection (1 byte: its low bits; 0x80 closes it), size (1 byte), that many bytes.
#include <array>
#include <optional>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <sys/socket.h>

#include "control/example_messages.h"
#include "control/hub.h"
#include "control/wire.h"
#include "fuzz/fuzz.h"

namespace signccl {
namespace {

constexpr std::size_t kConnections = 4;

class Session {
 public:
  /// The hub runs whatever it can run now.
  void run() {
    context_.restart();
    context_.poll();
  }

  void send(std::size_t connection, std::string_view bytes) {
    [[maybe_unused]] const ssize_t sent =
        ::send(far(connection), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    run();
  }

  void close(std::size_t connection) {
    if (!open_[connection]) return;
    ::close(*std::exchange(open_[connection], std::nullopt));
    run();
  }

  std::string receive(std::size_t connection) {
    std::string bytes(4096, '\0');
    const ssize_t got = ::recv(far(connection), bytes.data(), bytes.size(), MSG_DONTWAIT);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }

  Session() = default;
  ~Session() {
    for (std::size_t connection = 0; connection < open_.size(); ++connection) close(connection);
    run();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  /// The other end of a connection, which is made when it is first used.
  int far(std::size_t connection) {
    std::optional<int>& end = open_[connection];
    if (end) return *end;
    std::array<int, 2> ends{};
    mustHold(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0, "there are sockets");
    end = ends[0];
    asio::ip::tcp::socket near(context_);
    near.assign(asio::ip::tcp::v4(), ends[1]);
    hub_->greet(std::move(near));
    return *end;
  }

  asio::io_context context_{1};
  std::shared_ptr<Hub> hub_ = Hub::make(
      context_, kExampleSecret, {.strangers = {.greeting_time = std::chrono::hours(1), .most = kConnections + 1}});
  std::array<std::optional<int>, kConnections + 1> open_;
};

bool hasSecret(std::string_view bytes) {
  const std::string_view secret(reinterpret_cast<const char*>(kExampleSecret.data()), kExampleSecret.size());
  return bytes.find(secret) != std::string_view::npos;
}

std::string step(int connection, const std::string& bytes) {
  std::string steps;
  for (std::size_t begin = 0; begin < bytes.size(); begin += 255) {
    const std::string part = bytes.substr(begin, 255);
    steps += static_cast<char>(connection);
    steps += static_cast<char>(part.size());
    steps += part;
  }
  return steps;
}

std::string hello(int connection, const HelloMessage& message) {
  return step(connection, encodeFrame({MessageType::kHello, encode(message)}));
}

std::string frame(int connection, MessageType type, const std::string& payload) {
  return step(connection, encodeFrame({type, payload}));
}

}  // namespace

std::vector<std::string> fuzzSeeds() {
  HelloMessage stranger = exampleHello();
  stranger.secret = {};
  HelloMessage other_version = exampleHello(0, 2);
  other_version.wire_version = kWireVersion + 1;
  const std::string job = hello(0, exampleHello(0, 2)) + hello(1, exampleHello(1, 2));
  const std::string both_announce = frame(0, MessageType::kAnnounce, encode(exampleAnnounce())) +
                                    frame(1, MessageType::kAnnounce, encode(exampleAnnounce()));
  return {hello(0, stranger),
          step(0, "GET / HTTP/1.1\r\n\r\n"),
          hello(0, other_version),
          hello(0, exampleHello(5, 2)) + job,
          hello(0, exampleHello(0, 2)) + hello(1, exampleHello(0, 2)) + std::string("\x80\x00", 2),
          job + both_announce + frame(0, MessageType::kQuery, encodeNumber(3)),
          job + frame(0, MessageType::kGather, encode(exampleGather())) +
              frame(1, MessageType::kGather, encode(exampleGather())),
          job + frame(0, MessageType::kGather, encode(exampleGather())) +
              frame(0, MessageType::kOverdue, encode(exampleGather().id)) +
              frame(1, MessageType::kHeartbeat, encodeNumber(1)),
          job + frame(0, MessageType::kLeave, encodeNumber(1)) + frame(1, MessageType::kLeave, encodeNumber(1)),
          job + frame(1, MessageType::kFailure, encode(exampleFailure())) + std::string("\x81\x00", 2)};
}

}  // namespace signccl

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace signccl;
  Session session;
  std::array<std::string, kConnections> sent;
  std::string_view rest = asText(data, size);
  while (rest.size() >= 2) {
    const auto head = static_cast<std::uint8_t>(rest[0]);
    const std::string_view bytes = rest.substr(2, static_cast<std::uint8_t>(rest[1]));
    rest.remove_prefix(2 + bytes.size());
    const std::size_t connection = head % kConnections;
    if ((head & 0x80U) != 0) {
      session.close(connection);
    } else {
      session.send(connection, bytes);
      sent[connection] += bytes;
    }
  }
  for (const std::string& one : sent) {
    if (hasSecret(one)) return 0;
  }
  session.send(kConnections, encodeFrame({MessageType::kHello, encode(exampleHello(0, 1))}));
  session.run();
  const std::string answer = session.receive(kConnections);
  mustHold(answer.size() > 5 && answer[4] == static_cast<char>(MessageType::kRoster), "the job goes on");
  return 0;
}
