// SPDX-License-Identifier: Apache-2.0
#include "exec/one_round_engine.h"

#include <vector>

#include <gtest/gtest.h>

#include "base/trace.h"
#include "simulation.h"
#include "support/allocation_counter.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

Plan planOf(Algorithm algorithm, Rank rank, const Topology& topology, int votes_per_rank = 1) {
  return compilePlan(buildSchedule(algorithm, rank, topology),
                     {SignOp::kVote, topology.nranks(), votes_per_rank, false});
}

TEST(OneRoundEngineTest, OnlyOneShotHasOneRound) {
  const Topology topology = Topology::uniform(6, 2);
  for (const Algorithm algorithm : allAlgorithms()) {
    for (Rank rank = 0; rank < topology.nranks(); ++rank) {
      EXPECT_EQ(OneRoundEngine::canRun(planOf(algorithm, rank, topology)), algorithm == Algorithm::kOneShot)
          << algorithmName(algorithm) << " on rank " << rank;
    }
  }
}

TEST(OneRoundEngineTest, PlanOfALoneRankHasOneRound) {
  for (const Algorithm algorithm : allAlgorithms()) {
    EXPECT_TRUE(OneRoundEngine::canRun(planOf(algorithm, 0, Topology::singleNode(1)))) << algorithmName(algorithm);
  }
}

/// Traced ranks use lanes, the others do not.
TEST(OneRoundEngineTest, RanksWithLanesAndWithoutUnderstandEachOther) {
  TraceWriter writer("/dev/null");
  for (const int nranks : {2, 3, 4, 7}) {
    Simulation simulation(Topology::singleNode(nranks), {}, Faults{.seed = 5, .delay = 0.5}, &writer);
    for (const std::size_t count : std::initializer_list<std::size_t>{1, 64, 65, 5'000, 60'000}) {
      for (const bool is_ternary : {false, true}) {
        for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
          const TieRule tie = op == SignOp::kVote ? TieRule::kZero : TieRule::kRandom;
          simulation.runInTurn({Algorithm::kOneShot, op, is_ternary, tie, {{count}, {3}}});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(OneRoundEngineTest, SilentRanksAreAwaitedUntilTheExchangeIsAbandoned) {
  Simulation simulation(Topology::singleNode(4), {});
  const ExchangeShape shape{Algorithm::kOneShot, SignOp::kVote, false, TieRule::kRandom, {{100}}};
  for (const Rank rank : {0, 2}) simulation.start(rank, shape);
  simulation.settle({0, 2});
  for (const Rank rank : {0, 2}) {
    HostEngine& engine = simulation.at(rank).engine();
    EXPECT_FALSE(engine.finished());
    EXPECT_EQ(engine.awaitedPeers(), (std::vector<Rank>{1, 3}));
    engine.abandon();
    EXPECT_TRUE(engine.finished());
  }
}

TEST(OneRoundEngineTest, RankThatYetHasToTakeAMessageIsAwaited) {
  // A loopback transport lends messages, so a send is complete when its receiver has counted it.
  Simulation simulation(Topology::singleNode(2), {}, Faults{.drops = [](Rank peer, Tag /*tag*/) { return peer == 0; }});
  const ExchangeShape shape{Algorithm::kOneShot, SignOp::kVote, false, TieRule::kRandom, {{100}}};
  for (const Rank rank : {0, 1}) simulation.start(rank, shape);
  simulation.settle({0, 1});
  EXPECT_EQ(simulation.at(0).engine().awaitedPeers(), std::vector<Rank>{1}) << "whose message was lost";
  EXPECT_EQ(simulation.at(1).engine().awaitedPeers(), std::vector<Rank>{0}) << "which has yet to take a message";
}

TEST(OneRoundEngineTest, NothingIsAllocatedAfterWarmUp) {
  if (kSanitized) GTEST_SKIP() << "sanitizers allocate";
  Simulation simulation(Topology::singleNode(3), {});
  simulation.runInTurn({Algorithm::kOneShot, SignOp::kVote, false, TieRule::kRandom, {{100}}});
  for (int round = 0; round < 5; ++round) simulation.repeat();
  const std::size_t before = allocationCount();
  for (int round = 0; round < 20; ++round) simulation.repeat();
  EXPECT_EQ(allocationCount() - before, 0U);
}

}  // namespace
}  // namespace signccl
