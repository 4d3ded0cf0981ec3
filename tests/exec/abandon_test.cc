// SPDX-License-Identifier: Apache-2.0
// Exchanges that do not end well: what an engine says about them, and what it leaves behind.
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "simulation.h"
#include "support/sign_reference.h"

namespace signccl {
namespace {

ExchangeShape voteOf(Algorithm algorithm, std::size_t count) {
  return {algorithm, SignOp::kVote, false, TieRule::kRandom, {{count}}};
}

TEST(AwaitedPeersTest, NobodyIsAwaitedOutsideAnExchange) {
  Simulation simulation(Topology::singleNode(3), {});
  EXPECT_TRUE(simulation.at(0).engine().awaitedPeers().empty());
  simulation.runInTurn(voteOf(Algorithm::kOneShot, 1000));
  EXPECT_TRUE(simulation.at(0).engine().awaitedPeers().empty());
}

TEST(AwaitedPeersTest, SilentRankIsAwaited) {
  Simulation simulation(Topology::singleNode(4), {.slice_bytes = 64});
  const ExchangeShape shape = voteOf(Algorithm::kOneShot, 5000);
  for (const Rank rank : {0, 1, 3}) simulation.start(rank, shape);
  simulation.settle({0, 1, 3});
  for (const Rank rank : {0, 1, 3}) {
    EXPECT_FALSE(simulation.at(rank).engine().finished());
    EXPECT_EQ(simulation.at(rank).engine().awaitedPeers(), std::vector<Rank>{2});
  }
}

TEST(AwaitedPeersTest, RankWhoseMessageWasLostIsAwaited) {
  const Faults faults{.drops = [](Rank peer, Tag tag) { return peer == 0 && tag.slice == 1; }};
  Simulation simulation(Topology::singleNode(2), {.slice_bytes = 64}, faults);
  const ExchangeShape shape = voteOf(Algorithm::kOneShot, 2000);
  for (const Rank rank : {0, 1}) simulation.start(rank, shape);
  simulation.settle({0, 1});
  EXPECT_EQ(simulation.at(0).engine().awaitedPeers(), std::vector<Rank>{1});
  EXPECT_EQ(simulation.at(1).engine().awaitedPeers(), std::vector<Rank>{0}) << "which has yet to take a message";
}

TEST(AbandonTest, AbandonedExchangeCountsAsFinished) {
  Simulation simulation(Topology::singleNode(2), {});
  simulation.start(0, voteOf(Algorithm::kDirect, 1000));
  simulation.settle({0});
  EXPECT_FALSE(simulation.at(0).engine().finished());
  simulation.at(0).engine().abandon();
  EXPECT_TRUE(simulation.at(0).engine().finished());
}

TEST(AbandonTest, PeersMayReadMessagesOfAnEngineThatIsGone) {
  Simulation simulation(Topology::singleNode(2), {});
  constexpr std::size_t kCount = 5000;
  simulation.start(0, voteOf(Algorithm::kOneShot, kCount));
  simulation.settle({0});
  std::vector<Word> expected((kCount + 63) / 64);
  for (std::size_t i = 0; i < kCount; ++i) {
    const int sign = signOfElement(ElementType::kFloat32, simulation.at(0).input(0), i, false);
    if (sign > 0) expected[i / 64] |= Word{1} << (i % 64);
  }
  simulation.at(0).engine().abandon();
  simulation.at(0).destroy();

  std::vector<Word> room(expected.size());
  Request receive;
  std::vector<Request*> completed;
  Transport& transport = simulation.at(1).transport();
  transport.recv(0, Tag{}, std::as_writable_bytes(std::span(room)), Landing::kBorrow, receive);
  for (int i = 0; i < 10; ++i) transport.progress(completed);
  ASSERT_EQ(completed.size(), 1U);
  ASSERT_EQ(receive.data.size(), expected.size() * sizeof(Word));
  EXPECT_EQ(std::memcmp(receive.data.data(), expected.data(), receive.data.size()), 0);
}

TEST(AbandonTest, OtherRanksMayGoOnWhenOneIsGoneInTheMiddle) {
  for (const Algorithm algorithm : allAlgorithms()) {
    for (int rounds = 0; rounds < 12; ++rounds) {
      Simulation simulation(Topology::uniform(4, 2), {.nthreads = 2, .slice_bytes = 1024},
                            Faults{.seed = static_cast<std::uint64_t>(rounds), .delay = 0.3});
      for (Rank rank = 0; rank < 4; ++rank) simulation.start(rank, voteOf(algorithm, 60'000));
      for (int i = 0; i < rounds; ++i) {
        for (Rank rank = 0; rank < 4; ++rank) simulation.at(rank).engine().progress();
      }
      simulation.at(1).engine().abandon();
      simulation.at(1).destroy();
      simulation.settle({0, 2, 3});
      for (const Rank rank : {3, 0, 2}) {
        simulation.at(rank).engine().abandon();
        simulation.at(rank).destroy();
      }
    }
  }
}

TEST(AbandonTest, NoKernelTouchesUserMemoryAfterwards) {
  for (int round = 0; round < 20; ++round) {
    Simulation simulation(Topology::singleNode(1), {.nthreads = 3, .slice_bytes = 4096});
    simulation.start(0, voteOf(Algorithm::kDirect, 400'000));
    for (int i = 0; i < round % 4; ++i) simulation.at(0).engine().progress();
    simulation.at(0).engine().abandon();
    // Frees the buffers; sanitizers see who uses them.
    simulation.at(0).destroy();
  }
}

TEST(AbandonTest, ExchangeMayNotStartWhileAnotherIsUnderWay) {
  Simulation simulation(Topology::singleNode(2), {});
  simulation.start(0, voteOf(Algorithm::kDirect, 1000));
  EXPECT_THROW(simulation.start(0, voteOf(Algorithm::kDirect, 1000)), Error);
}

}  // namespace
}  // namespace signccl
