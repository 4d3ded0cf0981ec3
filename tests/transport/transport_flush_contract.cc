// SPDX-License-Identifier: Apache-2.0
// The part of the contract of Transport that ends an exchange: flush().
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "transport_contract.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;

/// Messages from rank 0 to rank 1, as many as the transport takes while rank 1 does not turn.
class FullWay {
 public:
  FullWay(Endpoint& sender, Endpoint& receiver) : receiver_(receiver) {
    openTheWay(sender);
    constexpr std::uint32_t kMost = 3'000;
    for (std::uint32_t i = 0; i < kMost; ++i) {
      rooms_.emplace_back(sent_.size());
      receives_.push_back(&receiver.recv(0, {.ordinal = i}, rooms_.back().bytes()));
      const Request& send = sender.send(1, {.ordinal = i}, bytesOf(sent_));
      turn(sender);
      if (!sender.isComplete(send) || !sender.transport().flush()) break;
    }
    turn(sender);  // the flush itself meets the full way, too
  }

  /// The receiver turns until it has all messages.
  void expectAllArrive() {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    const auto arrived = [&](const Request* receive) { return receiver_.isComplete(*receive); };
    while (!std::ranges::all_of(receives_, arrived)) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "messages stay with their sender";
      receiver_.progress();
    }
    for (const Room& room : rooms_) EXPECT_EQ(room.text(), sent_);
  }

 private:
  static void turn(Endpoint& endpoint) {
    constexpr int kTurns = 20;
    for (int i = 0; i < kTurns; ++i) endpoint.progress();
  }

  /// A connection may need both sides to turn.
  void openTheWay(Endpoint& sender) {
    const Tag first{.ordinal = 0xffffffff};
    Room room(sent_.size());
    const Request& receive = receiver_.recv(0, first, room.bytes());
    const Request& send = sender.send(1, first, bytesOf(sent_));
    while (!receiver_.isComplete(receive) || !sender.isComplete(send) || !sender.transport().flush()) {
      sender.progress();
      receiver_.progress();
    }
  }

  static constexpr std::size_t kSize = 8'000;  ///< small enough to be copied before it is sent

  Endpoint& receiver_;
  const std::string sent_ = std::string(kSize, 'v');
  std::deque<Room> rooms_;
  std::vector<const Request*> receives_;
};

TEST_P(TransportContractTest, FlushedMessageArrivesWithoutFurtherCallsOfItsSender) {
  connect(2);
  FullWay way(at(0), at(1));
  while (!at(0).transport().flush()) {
    at(0).progress();
    at(1).progress();
  }
  way.expectAllArrive();
  settle();
}

TEST_P(TransportContractTest, FlushEndsWithoutFurtherCallsOfTheReceiver) {
  constexpr int kEmptiesTheWay = 5'000;
  connect(2);
  FullWay way(at(0), at(1));
  for (int turn = 0; turn < kEmptiesTheWay; ++turn) at(1).progress();
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (!at(0).transport().flush()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the flush waits for its receiver";
    at(0).progress();
  }
  way.expectAllArrive();
  settle();
}

}  // namespace
}  // namespace signccl
