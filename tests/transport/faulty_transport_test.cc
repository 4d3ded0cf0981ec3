// SPDX-License-Identifier: Apache-2.0
#include "support/faulty_transport.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "transport/loopback.h"
#include "transport_contract.h"

namespace signccl {
namespace {

std::vector<std::unique_ptr<Transport>> makeFaulty(int nranks, const Faults& faults) {
  const auto fabric = std::make_shared<LoopbackFabric>(nranks);
  std::vector<std::unique_ptr<Transport>> transports;
  for (Rank rank = 0; rank < nranks; ++rank) {
    Faults own = faults;
    own.seed += static_cast<std::uint64_t>(rank);
    transports.push_back(std::make_unique<FaultyTransport>(std::make_unique<LoopbackTransport>(fabric, rank), own));
  }
  return transports;
}

// What is allowed to be bad is still within the contract.
INSTANTIATE_TEST_SUITE_P(
    Faulty, TransportContractTest,
    ::testing::Values(
        TransportMaker{"late", [](int nranks) { return makeFaulty(nranks, {.delay = 0.7}); }},
        TransportMaker{"copies", [](int nranks) { return makeFaulty(nranks, {.refuses_to_lend = true}); }},
        TransportMaker{"buffers", [](int nranks) { return makeFaulty(nranks, {.delay = 0.7, .buffers = true}); }}),
    [](const auto& tested) { return std::string(tested.param.name); });

/// Completions of `nmessages` receives in the order in which they come, over a transport with those faults.
std::vector<std::uint64_t> arrivalOrder(const Faults& faults, std::uint32_t nmessages) {
  auto transports = makeFaulty(2, faults);
  std::vector<Request> sends(nmessages);
  std::vector<Request> receives(nmessages);
  for (std::uint32_t i = 0; i < nmessages; ++i) {
    receives[i].user = i + 1;
    transports[0]->send(1, {.ordinal = i}, {}, sends[i]);
    transports[1]->recv(0, {.ordinal = i}, {}, Landing::kCopy, receives[i]);
  }
  std::vector<Request*> completed;
  for (int i = 0; i < 1000; ++i) {
    std::vector<Request*> ignored;
    transports[0]->progress(ignored);
    transports[1]->progress(completed);
  }
  std::vector<std::uint64_t> order;
  for (const Request* request : completed) order.push_back(request->user);
  return order;
}

TEST(FaultyTransportTest, MessagesComeInAnotherOrderThanTheyWereSent) {
  const std::vector<std::uint64_t> order = arrivalOrder({.delay = 0.5}, 50);
  EXPECT_EQ(order.size(), 50U);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
}

TEST(FaultyTransportTest, EqualSeedsGiveEqualFaults) {
  EXPECT_EQ(arrivalOrder({.seed = 5, .delay = 0.5}, 50), arrivalOrder({.seed = 5, .delay = 0.5}, 50));
  EXPECT_NE(arrivalOrder({.seed = 5, .delay = 0.5}, 50), arrivalOrder({.seed = 6, .delay = 0.5}, 50));
}

TEST(FaultyTransportTest, DroppedMessagesNeverArrive) {
  const Faults faults{.drops = [](Rank, Tag tag) { return tag.ordinal == 2; }};
  std::vector<std::uint64_t> order = arrivalOrder(faults, 4);
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, (std::vector<std::uint64_t>{1, 2, 4}));
}

}  // namespace
}  // namespace signccl
