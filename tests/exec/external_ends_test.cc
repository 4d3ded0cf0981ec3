// SPDX-License-Identifier: Apache-2.0
#include "exec/external_ends.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "simulation.h"
#include "support/sign_reference.h"

namespace signccl {
namespace {

constexpr TieRule kTieRules[] = {TieRule::kZero, TieRule::kPositive, TieRule::kNegative, TieRule::kRandom};
/// 8 words.
constexpr std::size_t kTinySlice = 64;

/// Every operation, zero rule and tie rule.
std::vector<ExchangeShape> shapesOf(Algorithm algorithm, const std::vector<CallShape>& calls) {
  std::vector<ExchangeShape> shapes;
  for (const bool is_ternary : {false, true}) {
    for (const TieRule tie : kTieRules) shapes.push_back({algorithm, SignOp::kVote, is_ternary, tie, calls});
    shapes.push_back({algorithm, SignOp::kAvg, is_ternary, TieRule::kRandom, calls});
  }
  return shapes;
}

/// Which ranks have external ends.
enum class Who { kAll, kOdd, kFirst };

void giveExternalEnds(Simulation& simulation, Who who, double readiness) {
  for (Rank rank = 0; rank < simulation.nranks(); ++rank) {
    const bool has = who == Who::kAll || (who == Who::kOdd ? rank % 2 == 1 : rank == 0);
    if (has) simulation.at(rank).useExternalEnds(readiness);
  }
}

std::string nameOf(const ::testing::TestParamInfo<Algorithm>& tested) {
  return std::string(algorithmName(tested.param));
}

class ExternalEndsTest : public ::testing::TestWithParam<Algorithm> {
 protected:
  static Topology topologyOf(int nranks) {
    return GetParam() == Algorithm::kHierarchical ? Topology::uniform(nranks, 4) : Topology::singleNode(nranks);
  }
};

TEST_P(ExternalEndsTest, AllRanksGetTheReferenceResultWhoeverHasThem) {
  for (int nranks = 1; nranks <= 9; ++nranks) {
    for (const Who who : {Who::kAll, Who::kOdd, Who::kFirst}) {
      Simulation simulation(topologyOf(nranks), {.slice_bytes = kTinySlice});
      giveExternalEnds(simulation, who, 0.5);
      for (const std::vector<CallShape>& calls : {std::vector<CallShape>{{1}}, {{65}, {0}, {513}}, {{3001}, {64}}}) {
        for (const ExchangeShape& shape : shapesOf(GetParam(), calls)) {
          simulation.runInTurn(shape);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(ExternalEndsTest, SignsAndMessagesMayBeLate) {
  for (const Faults& faults : {Faults{.seed = 5, .delay = 0.6}, Faults{.seed = 5, .delay = 0.6, .buffers = true}}) {
    Simulation simulation(topologyOf(5), {.slice_bytes = kTinySlice}, faults);
    giveExternalEnds(simulation, Who::kOdd, 0.02);
    for (const ExchangeShape& shape : shapesOf(GetParam(), {{2500}})) {
      simulation.runInTurn(shape);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(ExternalEndsTest, ThreadsAndPoolsGiveTheReferenceResult) {
  for (const int nthreads : {1, 2}) {
    Simulation simulation(topologyOf(4), {.nthreads = nthreads, .slice_bytes = 2048});
    giveExternalEnds(simulation, Who::kFirst, 0.1);
    for (const ExchangeShape& shape : shapesOf(GetParam(), {{40'003}})) {
      simulation.runInThreads(shape);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(ExternalEndsTest, EverySliceEndsOnceWithItsResult) {
  Simulation simulation(topologyOf(3), {.slice_bytes = kTinySlice});
  giveExternalEnds(simulation, Who::kAll, 0.5);
  for (const ExchangeShape& shape : shapesOf(GetParam(), {{3001}})) {
    simulation.runInTurn(shape);
    for (Rank rank = 0; rank < 3; ++rank) {
      EXPECT_TRUE(simulation.at(rank).ends()->allEnded(0)) << shape << ", rank " << rank;
    }
  }
}

TEST_P(ExternalEndsTest, TheEngineSaysThatItLacksOwnSignsUntilTheyCome) {
  Simulation simulation(topologyOf(2), {.slice_bytes = kTinySlice});
  simulation.at(0).useExternalEnds(0);
  const ExchangeShape shape{GetParam(), SignOp::kVote, false, TieRule::kRandom, {{100}}};
  simulation.start(0, shape);
  simulation.start(1, shape);
  simulation.settle({0, 1});
  EXPECT_TRUE(simulation.at(0).engine().lacksOwnSigns());
  EXPECT_FALSE(simulation.at(1).engine().lacksOwnSigns());
  simulation.at(0).engine().abandon();
  simulation.at(1).engine().abandon();
}

INSTANTIATE_TEST_SUITE_P(, ExternalEndsTest,
                         ::testing::Values(Algorithm::kOneShot, Algorithm::kDirect, Algorithm::kRing, Algorithm::kTree,
                                           Algorithm::kKnomial, Algorithm::kHierarchical),
                         nameOf);

}  // namespace
}  // namespace signccl
