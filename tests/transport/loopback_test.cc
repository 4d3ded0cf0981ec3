// SPDX-License-Identifier: Apache-2.0
#include "transport/loopback.h"

#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "transport_contract.h"

namespace signccl {
namespace {

std::vector<std::unique_ptr<Transport>> makeLoopback(int nranks) {
  const auto fabric = std::make_shared<LoopbackFabric>(nranks);
  std::vector<std::unique_ptr<Transport>> transports;
  for (Rank rank = 0; rank < nranks; ++rank) {
    transports.push_back(std::make_unique<LoopbackTransport>(fabric, rank));
  }
  return transports;
}

INSTANTIATE_TEST_SUITE_P(Loopback, TransportContractTest, ::testing::Values(TransportMaker{"loopback", makeLoopback}));

TEST(LoopbackTest, BorrowedMessageIsTheMemoryOfTheSender) {
  auto transports = makeLoopback(2);
  const std::string sent = "votes";
  std::string room(sent.size(), '?');
  Request send;
  Request receive;
  std::vector<Request*> completed;
  transports[0]->send(1, {}, std::as_bytes(std::span(sent)), send);
  transports[1]->recv(0, {}, std::as_writable_bytes(std::span(room)), Landing::kBorrow, receive);
  transports[1]->progress(completed);
  ASSERT_EQ(completed, std::vector<Request*>{&receive});
  EXPECT_EQ(static_cast<const void*>(receive.data.data()), sent.data());
}

TEST(LoopbackTest, MessageInMemoryKeptAliveArrivesAfterItsSenderIsGone) {
  auto transports = makeLoopback(2);
  const std::string text(4096, 'x');
  auto memory = std::make_shared<std::string>(text);
  auto send = std::make_unique<Request>();
  transports[0]->send(1, {}, std::as_bytes(std::span(*memory)), *send);
  transports[0]->keepAlive(std::move(memory));
  transports[0].reset();
  send.reset();
  std::string room(text.size(), '?');
  Request receive;
  std::vector<Request*> completed;
  transports[1]->recv(0, {}, std::as_writable_bytes(std::span(room)), Landing::kCopy, receive);
  transports[1]->progress(completed);
  ASSERT_EQ(completed, std::vector<Request*>{&receive});
  EXPECT_EQ(room, text);
}

TEST(LoopbackTest, MemoryKeptAliveIsFreedWithTheFabric) {
  auto transports = makeLoopback(2);
  auto memory = std::make_shared<int>(1);
  const std::weak_ptr<int> watched = memory;
  transports[0]->keepAlive(std::move(memory));
  transports[0].reset();
  EXPECT_FALSE(watched.expired());
  transports[1].reset();
  EXPECT_TRUE(watched.expired());
}

TEST(LoopbackTest, WakeOfTheFabricEndsTheWaitOfThatRank) {
  const auto fabric = std::make_shared<LoopbackFabric>(2);
  LoopbackTransport transport(fabric, 1);
  fabric->wake(1);
  transport.wait(std::chrono::hours(1));
}

}  // namespace
}  // namespace signccl
