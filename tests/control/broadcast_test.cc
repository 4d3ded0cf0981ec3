// SPDX-License-Identifier: Apache-2.0
// What a hub tells all ranks is in memory once, however many of them have not taken it yet.
#include <array>
#include <cstdlib>
#include <malloc.h>
#include <memory>
#include <unistd.h>
#include <vector>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "control/example_messages.h"
#include "control/hub.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

/// A connection over a pair of sockets, whose other end the test has and never reads.
class SocketPair {
 public:
  SocketPair() {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) != 0) throw std::bad_alloc();
  }
  ~SocketPair() { ::close(ends_[0]); }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;

  /// Gives one end away.
  [[nodiscard]] asio::ip::tcp::socket take(asio::io_context& context) const {
    asio::ip::tcp::socket socket(context);
    socket.assign(asio::ip::tcp::v4(), ends_[1]);
    return socket;
  }
  void send(MessageType type, const std::string& payload) const {
    const std::string frame = encodeFrame({type, payload});
    ASSERT_EQ(::send(ends_[0], frame.data(), frame.size(), MSG_NOSIGNAL), static_cast<ssize_t>(frame.size()));
  }

 private:
  std::array<int, 2> ends_{};
};

void run(asio::io_context& context) {
  context.restart();
  context.poll();
}

TEST(BroadcastTest, ConnectionsShareAFrame) {
  asio::io_context context;
  const SharedFrame frame = makeFrame(MessageType::kRoster, std::string(std::size_t{1} << 20, 'x'));
  std::vector<std::unique_ptr<SocketPair>> pairs;
  std::vector<std::shared_ptr<Connection>> connections;
  for (int i = 0; i < 10; ++i) {
    pairs.push_back(std::make_unique<SocketPair>());
    connections.push_back(std::make_shared<Connection>(pairs.back()->take(context)));
    connections.back()->send(frame);
  }
  EXPECT_EQ(frame.use_count(), 11);
  for (const auto& connection : connections) connection->close();
  EXPECT_EQ(frame.use_count(), 1);
  run(context);
}

TEST(BroadcastTest, GatheringOfManyRanksThatDoNotReadIsInMemoryOnce) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer does not say how much memory is in use";
  constexpr std::size_t kRanks = 48;
  constexpr std::size_t kPart = std::size_t{40} << 10;
  asio::io_context context;
  const auto hub = Hub::make(context, kExampleSecret);
  std::vector<std::unique_ptr<SocketPair>> ranks;
  for (std::size_t rank = 0; rank < kRanks; ++rank) {
    ranks.push_back(std::make_unique<SocketPair>());
    hub->greet(ranks.back()->take(context));
    ranks.back()->send(MessageType::kHello, encode(exampleHello(static_cast<Rank>(rank), kRanks)));
  }
  run(context);
  const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  for (const auto& rank : ranks) {
    rank->send(MessageType::kGather, encode(GatherMessage{{Gathering::kSplit, 1}, std::string(kPart, 'x')}));
    run(context);
  }
  const std::size_t queued = mallinfo2().uordblks + mallinfo2().hblkhd - before;
  // A copy for each rank would be 48 times the parts of all, 90 MB.
  EXPECT_GT(queued, kRanks * kPart);
  EXPECT_LT(queued, 6 * kRanks * kPart);
}

}  // namespace
}  // namespace signccl
