// SPDX-License-Identifier: Apache-2.0
#include "control/connector.h"

#include <optional>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "control/eventually.h"
#include "control/raw_peer.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;

/// What an attempt came to.
struct Outcome {
  std::optional<asio::ip::tcp::socket> socket;
  asio::error_code refused;
};

/// Runs `context` until the connector has decided, or for `longest`.
void run(asio::io_context& context, const Outcome& outcome, std::chrono::milliseconds longest = kPatience) {
  const Deadline deadline = in(longest);
  while (!outcome.socket && !outcome.refused && std::chrono::steady_clock::now() < deadline) context.run_one_for(10ms);
}

void start(Connector& connector, Outcome& outcome) {
  connector.start([&](asio::ip::tcp::socket socket) { outcome.socket.emplace(std::move(socket)); },
                  [&](asio::error_code error) { outcome.refused = error; });
}

TEST(ConnectorTest, ListenerIsReached) {
  const RawListener listener;
  asio::io_context context;
  Outcome outcome;
  const auto connector = std::make_shared<Connector>(context, ConnectorOptions{.addresses = {listener.address()}});
  start(*connector, outcome);
  run(context, outcome);
  ASSERT_TRUE(outcome.socket);
  EXPECT_EQ(outcome.socket->remote_endpoint(), listener.address());
}

TEST(ConnectorTest, ConnectionOfASocketToItselfIsTold) {
  asio::io_context context;
  asio::ip::tcp::socket socket(context);
  socket.open(asio::ip::tcp::v4());
  socket.bind({asio::ip::address_v4::loopback(), 0});
  EXPECT_FALSE(isConnectedToItself(socket)) << "not connected at all";
  socket.connect(socket.local_endpoint());
  EXPECT_TRUE(isConnectedToItself(socket));

  const RawListener listener;
  asio::ip::tcp::socket other(context);
  other.connect(listener.address());
  EXPECT_FALSE(isConnectedToItself(other));
}

TEST(ConnectorTest, NobodyWhereSomebodyShouldListenIsTold) {
  asio::io_context context;
  Outcome outcome;
  const auto connector = std::make_shared<Connector>(context, ConnectorOptions{.addresses = {RawListener().address()}});
  start(*connector, outcome);
  run(context, outcome);
  EXPECT_EQ(outcome.refused, asio::error::connection_refused);
}

TEST(ConnectorTest, AttemptWhoseTimeIsUpAsItSucceedsGivesNoClosedSocket) {
  const RawListener listener;
  for (int i = 0; i < 200; ++i) {
    asio::io_context context;
    Outcome outcome;
    const auto connector =
        std::make_shared<Connector>(context, ConnectorOptions{.addresses = {listener.address()}, .attempt_time = 0ms});
    start(*connector, outcome);
    run(context, outcome, 5ms);
    if (outcome.socket) {
      EXPECT_TRUE(outcome.socket->is_open());
    }
    connector->stop();
    context.run_for(1s);
  }
}

TEST(ConnectorTest, NothingIsCalledAfterStop) {
  const RawListener listener;
  asio::io_context context;
  Outcome outcome;
  const auto connector = std::make_shared<Connector>(context, ConnectorOptions{.addresses = {listener.address()}});
  start(*connector, outcome);
  connector->stop();
  context.run_for(1s);
  EXPECT_FALSE(outcome.socket);
  EXPECT_FALSE(outcome.refused);
}

}  // namespace
}  // namespace signccl
