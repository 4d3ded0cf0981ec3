// SPDX-License-Identifier: Apache-2.0
// What the UCX transport does when peers vanish, send what no rank sends, or when it ends with work outstanding.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/caught.h"
#include "transport/ucx/tcp_context.h"
#include "transport/ucx/ucx_transport.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kEager = 100;
constexpr std::size_t kHeld = 5000;  ///< through shared memory it comes in memory of UCX
constexpr std::size_t kRendezvous = std::size_t{8} << 20;

/// Two ranks, in the thread of the test.
class UcxFaultsTest : public testing::Test {
 protected:
  explicit UcxFaultsTest(const std::shared_ptr<UcxContext>& context = tcpContext()) {
    std::vector<std::string> addresses;
    for (const Rank rank : {0, 1}) {
      transports_.push_back(std::make_unique<UcxTransport>(context, rank, 2));
      addresses.push_back(transports_.back()->address());
    }
    for (const auto& transport : transports_) transport->setAddresses(addresses);
  }

  UcxTransport& at(Rank rank) { return *transports_[static_cast<std::size_t>(rank)]; }
  void destroy(Rank rank) { transports_[static_cast<std::size_t>(rank)].reset(); }
  /// The same; fails the test if UCX misses memory that was not given back, which it says on standard output.
  void destroyCompletely(Rank rank) {
    testing::internal::CaptureStdout();
    destroy(rank);
    EXPECT_THAT(testing::internal::GetCapturedStdout(), Not(HasSubstr("was not returned to mpool")));
  }

  /// Progresses those ranks that are left until it holds that `done()`; fails the test if it never does.
  template <typename Done>
  void runUntil(const Done& done) {
    const auto deadline = steady_clock::now() + 60s;
    while (!done()) {
      ASSERT_LT(steady_clock::now(), deadline) << "what is waited for never happens";
      for (const auto& transport : transports_) {
        if (transport) transport->progress(completed_);
      }
    }
  }
  /// Gives messages that are under way the time to arrive.
  void settle() {
    const auto end = steady_clock::now() + 50ms;
    runUntil([&] { return steady_clock::now() > end; });
  }
  bool isComplete(const Request& request) const { return std::ranges::find(completed_, &request) != completed_.end(); }

  /// Sends `size` bytes from rank 0 to rank 1 and has them received.
  void exchange(std::size_t size, std::uint64_t number) {
    std::vector<std::byte> sent(size, std::byte{7});
    std::vector<std::byte> got(size);
    Request send;
    Request receive;
    at(1).recv(0, {.exchange = number}, got, Landing::kCopy, receive);
    at(0).send(1, {.exchange = number}, sent, send);
    runUntil([&] { return isComplete(send) && isComplete(receive); });
    EXPECT_EQ(got, sent);
    completed_.clear();
  }

  std::vector<std::unique_ptr<UcxTransport>> transports_;
  std::vector<Request*> completed_;
};

/// What progress() says in the end.
Caught failureOf(UcxTransport& transport) {
  return caught([&] {
    const auto deadline = steady_clock::now() + 60s;
    std::vector<Request*> completed;
    while (steady_clock::now() < deadline) {
      transport.progress(completed);
      transport.wait(1ms);
    }
  });
}

TEST_F(UcxFaultsTest, PeerThatGoesBeforeItsMessageArrivedIsReported) {
  exchange(kEager, 0);
  std::vector<std::byte> memory(kEager);
  Request receive;
  at(0).recv(1, {.exchange = 1}, memory, Landing::kCopy, receive);
  // A rank notices a broken connection where it has one.
  Request send;
  at(0).send(1, {.exchange = 2}, memory, send);
  destroy(1);
  const Caught error = failureOf(at(0));
  EXPECT_EQ(error.code, signcclRemoteError);
  EXPECT_THAT(error.message, HasSubstr("rank 0 lost its connection to rank 1: "));
}

/// Rank 0 of two sends to rank 1, which is gone by then; `version`: of UCX, that rank 1 claims to have.
std::string errorOfLostPeer(const std::string& version) {
  const auto context = tcpContext();
  UcxTransport rank(context, 0, 2, {.route = "eth0 10.0.0.1"});
  auto peer = std::make_unique<UcxTransport>(context, 1, 2, ProcessTransportOptions{.route = "mgmt0 192.168.0.2"});
  std::string address = peer->address();
  if (!version.empty()) address.replace(0, address.find(' '), version);
  rank.setAddresses({rank.address(), address});
  peer.reset();
  const std::vector<std::byte> memory(kEager);
  Request send;
  Request receive;
  std::vector<std::byte> got(kEager);
  rank.recv(1, {.exchange = 1}, got, Landing::kCopy, receive);
  rank.send(1, {.exchange = 1}, memory, send);
  return failureOf(rank).message;
}

TEST(UcxLostPeerTest, ErrorNamesTheInterfacesOfBothRanksAndTheSetting) {
  EXPECT_THAT(errorOfLostPeer(""),
              HasSubstr(" (rank 0 is at eth0 10.0.0.1, rank 1 at mgmt0 192.168.0.2; SIGNCCL_SOCKET_IFNAME=name chooses "
                        "another interface)"));
}

TEST(UcxLostPeerTest, ErrorNamesTheVersionsOfUcxWhereTheyDiffer) {
  const std::string error = errorOfLostPeer("1.99.7");
  EXPECT_THAT(error, HasSubstr(" (it has UCX 1.99.7, rank 0 has 1."));
  EXPECT_THAT(error, HasSubstr("; expected the same version on all ranks)"));
}

TEST_F(UcxFaultsTest, PeerThatGoesBeforeItTookALargeMessageDoesNotHoldUpItsSender) {
  const std::vector<std::byte> memory(kRendezvous);
  Request send;
  at(0).send(1, {.exchange = 1}, memory, send);
  settle();
  EXPECT_FALSE(isComplete(send));
  destroy(1);
  // Which of the two depends on whether the peer could still tell that it drops the message.
  const Caught error = caught([&] { runUntil([&] { return isComplete(send); }); });
  EXPECT_TRUE(error.code == signcclSuccess || error.code == signcclRemoteError) << error;
}

TEST_F(UcxFaultsTest, PeerThatGoesAmidALargeMessageIsReported) {
  // UCX 1.13 ends the process if the peer goes while the connection is made.
  exchange(kRendezvous, 0);
  auto memory = std::make_shared<std::vector<std::byte>>(kRendezvous * 8);
  std::vector<std::byte> got(memory->size());
  Request send;
  Request receive;
  at(0).send(1, {.exchange = 1}, *memory, send);
  at(1).recv(0, {.exchange = 1}, got, Landing::kCopy, receive);
  for (int i = 0; i < 3; ++i) {
    at(1).progress(completed_);
    at(0).progress(completed_);
  }
  if (isComplete(receive)) GTEST_SKIP() << "the message was too fast";
  at(0).keepAlive(memory);
  destroy(0);
  EXPECT_THAT(failureOf(at(1)).message, HasSubstr("rank 1 lost its connection to rank 0: "));
}

/// A receive whose message has come as far as the socket when its rank ends and its memory goes.
class UcxEndTest : public UcxFaultsTest, public testing::WithParamInterface<std::size_t> {};

TEST_P(UcxEndTest, EndWithAReceiveOutstandingTouchesItsMemoryNoMore) {
  exchange(kEager, 0);
  // Its rank has sent something too that nobody takes, so that the end waits and hears of the message.
  const auto untaken = std::vector<std::byte>(kRendezvous);
  Request from_it;
  at(1).send(0, {}, untaken, from_it);
  const std::vector<std::byte> sent(GetParam());
  auto memory = std::make_unique<std::vector<std::byte>>(GetParam());
  Request receive;
  Request send;
  at(1).recv(0, {.exchange = 1}, *memory, Landing::kCopy, receive);
  at(0).send(1, {.exchange = 1}, sent, send);
  const auto end = steady_clock::now() + 50ms;
  while (steady_clock::now() < end) at(0).progress(completed_);
  memory.reset();
  destroyCompletely(1);
}

INSTANTIATE_TEST_SUITE_P(Sizes, UcxEndTest, testing::Values(kEager, kHeld, kRendezvous));

TEST_F(UcxFaultsTest, EndWithSendsOutstandingEnds) {
  const std::vector<std::byte> eager(kEager);
  const std::vector<std::byte> large(kRendezvous);
  std::vector<Request> sends(20);
  for (std::size_t i = 0; i < sends.size(); ++i) {
    at(0).send(1, {.exchange = i}, i % 2 == 0 ? eager : large, sends[i]);
  }
  destroyCompletely(0);
  // Rank 1 has announcements of messages whose sender is gone, and is not asked for them.
  settle();
}

/// The same through what UCX chooses, shared memory first.
class UcxMemoryTest : public UcxFaultsTest {
 protected:
  UcxMemoryTest() : UcxFaultsTest(UcxContext::open("")) {}
};

TEST_F(UcxMemoryTest, EndWithMessagesThatNobodyAskedForEnds) {
  const std::vector<std::byte> eager(kEager);
  const std::vector<std::byte> held(kHeld);
  const std::vector<std::byte> large(kRendezvous);
  std::vector<Request> sends(30);
  for (std::size_t i = 0; i < sends.size(); ++i) {
    at(0).send(1, {.exchange = i}, i % 3 == 0 ? eager : i % 3 == 1 ? held : large, sends[i]);
  }
  settle();
  destroyCompletely(1);
}

TEST_F(UcxMemoryTest, EndAfterAMessageThatDoesNotFitReleasesEachMessageOnce) {
  exchange(kHeld, 10);
  const std::vector<std::byte> sent(kHeld);
  std::vector<Request> sends(4);
  std::vector<Request> receives(4);
  std::vector<std::vector<std::byte>> memory(4, std::vector<std::byte>(kHeld));
  memory[2].resize(kHeld - 1);
  for (std::size_t i = 0; i < 3; ++i) {
    at(1).recv(0, {.exchange = i}, memory[i], i == 0 ? Landing::kBorrow : Landing::kCopy, receives[i]);
  }
  for (const std::size_t i : {3U, 0U, 1U, 2U}) at(0).send(1, {.exchange = i}, sent, sends[i]);
  std::vector<Request*> ignored;
  const auto end = steady_clock::now() + 50ms;
  while (steady_clock::now() < end) at(0).progress(ignored);
  EXPECT_EQ(failureOf(at(1)), (Caught{signcclInternalError, "rank 1 expected 4999 bytes from rank 0 and got 5000"}));
  EXPECT_NE(receives[0].transport.held, 0U) << "the test needs messages in memory of UCX";
  destroyCompletely(1);
}

TEST_F(UcxMemoryTest, EarlyMessageThatDoesNotFitIsReleased) {
  for (const std::size_t size : {kEager, kHeld, kRendezvous}) {
    const std::vector<std::byte> sent(size);
    std::vector<std::byte> memory(size - 1);
    Request send;
    Request receive;
    at(0).send(1, {.exchange = size}, sent, send);
    settle();
    EXPECT_THAT(
        caught([&] { at(1).recv(0, {.exchange = size}, memory, Landing::kCopy, receive); }).message,
        HasSubstr("expected " + std::to_string(size - 1) + " bytes from rank 0 and got " + std::to_string(size)));
    settle();
  }
}

TEST(UcxCyclesTest, RanksThatComeAndGoLeaveNoDescriptors) {
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  const auto cycle = [] {
    const std::vector<std::byte> sent(kEager, std::byte{1});
    std::vector<std::byte> got(kEager);
    std::vector<std::unique_ptr<UcxTransport>> ranks;
    for (const Rank rank : {0, 1}) ranks.push_back(std::make_unique<UcxTransport>(tcpContext(), rank, 2));
    for (const auto& rank : ranks) rank->setAddresses({ranks[0]->address(), ranks[1]->address()});
    Request send;
    Request receive;
    ranks[1]->recv(0, {}, got, Landing::kCopy, receive);
    ranks[0]->send(1, {}, sent, send);
    std::vector<Request*> completed;
    const auto deadline = steady_clock::now() + 60s;
    while (completed.size() < 2) {
      ASSERT_LT(steady_clock::now(), deadline);
      for (const auto& rank : ranks) rank->progress(completed);
    }
    EXPECT_EQ(got, sent);
  };
  cycle();
  const auto before = descriptors();
  for (int i = 0; i < 30; ++i) cycle();
  EXPECT_EQ(descriptors(), before);
}

}  // namespace
}  // namespace signccl
