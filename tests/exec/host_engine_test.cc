// SPDX-License-Identifier: Apache-2.0
#include "exec/host_engine.h"

#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "simulation.h"
#include "support/allocation_counter.h"
#include "support/sanitizers.h"
#include "support/sign_reference.h"

namespace signccl {
namespace {

constexpr TieRule kTieRules[] = {TieRule::kZero, TieRule::kPositive, TieRule::kNegative, TieRule::kRandom};

/// The smallest slices that there are: 8 words, 512 elements.
constexpr std::size_t kTinySlice = 64;

/// Topologies on which an algorithm differs: hierarchical on one node is direct.
std::vector<Topology> topologiesFor(Algorithm algorithm, int nranks) {
  if (algorithm != Algorithm::kHierarchical) return {Topology::singleNode(nranks)};
  std::vector<int> dealt_out;
  for (int rank = 0; rank < nranks; ++rank) dealt_out.push_back(rank % 3);
  return {Topology::uniform(nranks, 4), Topology(dealt_out)};
}

/// Both operations under all their rules, `calls` with receive types that the rules allow, one after the other.
std::vector<ExchangeShape> shapesOf(Algorithm algorithm, const std::vector<CallShape>& calls) {
  std::vector<ExchangeShape> shapes;
  std::size_t next_type = 0;
  const auto add = [&](SignOp op, bool is_ternary, TieRule tie) {
    ExchangeShape shape{algorithm, op, is_ternary, tie, calls};
    for (CallShape& call : shape.calls) {
      const auto types = recvTypes(op, tie);
      call.sendtype = sendTypes()[next_type % sendTypes().size()];
      call.recvtype = types[(next_type + next_type / types.size()) % types.size()];
      ++next_type;
    }
    shapes.push_back(shape);
  };
  for (const bool is_ternary : {false, true}) {
    for (const TieRule tie : kTieRules) add(SignOp::kVote, is_ternary, tie);
    add(SignOp::kAvg, is_ternary, TieRule::kRandom);
  }
  return shapes;
}

/// Numbers of ranks that take turns in one thread.
std::vector<int> numbersOfRanks() {
  if (kThreadSanitized) return {1, 2, 5, 8};
  std::vector<int> all(17);
  std::iota(all.begin(), all.end(), 1);
  return all;
}

std::string nameOf(const ::testing::TestParamInfo<Algorithm>& tested) {
  return std::string(algorithmName(tested.param));
}

class HostEngineTest : public ::testing::TestWithParam<Algorithm> {};

TEST_P(HostEngineTest, EveryRankGetsTheReferenceResult) {
  // One slice, two, and more slices than lanes.
  const std::vector<std::vector<CallShape>> sizes = {{{1}}, {{65}, {0}, {513}}, {{1000}, {3001}, {63}}};
  for (const int nranks : numbersOfRanks()) {
    for (const Topology& topology : topologiesFor(GetParam(), nranks)) {
      Simulation simulation(topology, {.slice_bytes = kTinySlice});
      for (const auto& calls : sizes) {
        for (const ExchangeShape& shape : shapesOf(GetParam(), calls)) {
          simulation.runInTurn(shape);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(HostEngineTest, ResultsDoNotDependOnWhenMessagesCome) {
  for (const int nranks : kThreadSanitized ? std::vector{3, 8} : std::vector{2, 3, 4, 5, 8, 9, 13}) {
    for (const Topology& topology : topologiesFor(GetParam(), nranks)) {
      for (const Faults& faults :
           {Faults{.seed = 7, .delay = 0.6}, Faults{.seed = 7, .delay = 0.6, .refuses_to_lend = true},
            Faults{.seed = 7, .delay = 0.6, .buffers = true}}) {
        // Nobody turns the transport of a rank that has finished: what it buffers then is lost.
        Simulation simulation(topology, {.slice_bytes = kTinySlice}, faults);
        for (const ExchangeShape& shape : shapesOf(GetParam(), {{700}, {2500}})) {
          simulation.runInTurn(shape);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(HostEngineTest, ThreadsOfRanksAndPoolsGetTheReferenceResult) {
  // Slices of 256 words, whose encoding and decoding go to the pool.
  for (const int nthreads : kThreadSanitized ? std::vector{2, 3} : std::vector{1, 2, 3}) {
    for (const int nranks : kThreadSanitized ? std::vector{3, 5} : std::vector{2, 3, 5, 8}) {
      const Topology topology = topologiesFor(GetParam(), nranks)[0];
      Simulation simulation(topology, {.nthreads = nthreads, .slice_bytes = 2048});
      for (const ExchangeShape& shape : shapesOf(GetParam(), {{40'003}})) {
        if (shape.is_ternary != (nthreads == 2)) continue;
        simulation.runInThreads(shape);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(HostEngineTest, PoolsCountLargeSlicesUnderDelays) {
  // Slices of 4,096 words, so that the counting and deciding of most algorithms goes to the pool too.
  Simulation simulation(topologiesFor(GetParam(), 3)[0], {.nthreads = 3, .slice_bytes = 1 << 15},
                        Faults{.seed = 3, .delay = 0.5});
  for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
    simulation.runInThreads({GetParam(), op, false, TieRule::kRandom, {{600'000}}});
    if (HasFatalFailure()) return;
  }
}

TEST_P(HostEngineTest, BuffersInPlaceMayHaveElementsOfDifferentSizes) {
  const std::vector<std::pair<ElementType, ElementType>> pairs = {{ElementType::kFloat32, ElementType::kFloat32},
                                                                  {ElementType::kInt8, ElementType::kFloat64},
                                                                  {ElementType::kFloat64, ElementType::kInt8},
                                                                  {ElementType::kBits, ElementType::kFloat16}};
  for (const int nranks : {1, 2, 5}) {
    for (const int nthreads : kThreadSanitized ? std::vector{2} : std::vector{1, 2}) {
      Simulation simulation(topologiesFor(GetParam(), nranks)[0], {.nthreads = nthreads, .slice_bytes = 1024});
      for (const auto& [sendtype, recvtype] : pairs) {
        for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
          // Ten slices, more than lanes; and a call beside it that is not in place.
          const std::vector<CallShape> calls = {{70'001, sendtype, recvtype, true}, {9'999}};
          simulation.runInTurn({GetParam(), op, false, TieRule::kPositive, calls});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(HostEngineTest, ExchangesOfChangingSizeAndRulesReuseTheScratch) {
  Simulation simulation(topologiesFor(GetParam(), 6)[0], {.slice_bytes = kTinySlice});
  std::mt19937 random(5);
  for (int round = 0; round < 60; ++round) {
    const auto shapes = shapesOf(GetParam(), {{random() % 5000}, {random() % 70}});
    simulation.runInTurn(shapes[random() % shapes.size()]);
    if (HasFatalFailure()) return;
  }
}

TEST_P(HostEngineTest, ResultsPastTheCacheAreTheSame) {
  Simulation simulation(topologiesFor(GetParam(), 4)[0], {.slice_bytes = kTinySlice, .streaming_bytes = 0});
  for (const ExchangeShape& shape : shapesOf(GetParam(), {{1000}, {2999}})) {
    simulation.runInTurn(shape);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, HostEngineTest,
                         ::testing::ValuesIn(allAlgorithms().begin(), allAlgorithms().end()), nameOf);

TEST(HostEngineTypesTest, EveryPairOfTypesGivesTheReferenceResult) {
  Simulation simulation(Topology::singleNode(4), {.slice_bytes = kTinySlice});
  for (const bool is_ternary : {false, true}) {
    for (const auto& [op, tie] : {std::pair{SignOp::kVote, TieRule::kZero}, std::pair{SignOp::kVote, TieRule::kRandom},
                                  std::pair{SignOp::kAvg, TieRule::kRandom}}) {
      for (const ElementType sendtype : sendTypes()) {
        for (const ElementType recvtype : recvTypes(op, tie)) {
          simulation.runInTurn({Algorithm::kDirect, op, is_ternary, tie, {{700, sendtype, recvtype}}});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(HostEngineScratchTest, NothingIsAllocatedAfterWarmUp) {
  if (kSanitized) GTEST_SKIP() << "sanitizers allocate";
  for (const int nthreads : {1, 2}) {
    constexpr int kRanks = 3;
    const Topology topology = Topology::singleNode(kRanks);
    Simulation simulation(topology, {.nthreads = nthreads, .slice_bytes = 2048});
    const ExchangeShape shape{Algorithm::kRing, SignOp::kAvg, false, TieRule::kRandom, {{50'000}, {1'000}}};
    simulation.runInTurn(shape);
    for (int round = 0; round < 50; ++round) simulation.repeat();
    const std::size_t scratch = simulation.at(0).engine().counters().scratch_bytes;
    // How many messages wait and which thread counts vary, so a list may still grow now and then; but what every
    // exchange allocates is seen in every stretch.
    std::size_t allocations = 1;
    for (int stretch = 0; stretch < 20 && allocations > 0; ++stretch) {
      const std::size_t before = allocationCount();
      for (int round = 0; round < 5; ++round) simulation.repeat();
      allocations = allocationCount() - before;
    }
    EXPECT_EQ(allocations, 0U) << nthreads << " threads";
    EXPECT_EQ(simulation.at(0).engine().counters().scratch_bytes, scratch);
  }
}

TEST(HostEngineScratchTest, ScratchGrowsWithTheSliceAndNotWithTheVector) {
  Simulation simulation(Topology::singleNode(2), {.slice_bytes = kTinySlice});
  const auto scratch_after = [&](std::size_t count) {
    simulation.runInTurn({Algorithm::kDirect, SignOp::kVote, false, TieRule::kRandom, {{count}}});
    return simulation.at(0).engine().counters().scratch_bytes;
  };
  EXPECT_GT(scratch_after(1), 0U);
  const std::size_t many_slices = scratch_after(50'000);
  EXPECT_EQ(scratch_after(200'000), many_slices);
}

TEST(HostEngineScratchTest, EngineMayBeDestroyedAsSoonAsItIsFinished) {
  // Its workers may then still be on their way out of a job.
  const ExchangeShape shape{Algorithm::kDirect, SignOp::kVote, false, TieRule::kRandom, {{20'000}}};
  for (int round = 0; round < (kSanitized ? 50 : 200); ++round) {
    Simulation simulation(Topology::singleNode(1), {.nthreads = 3, .slice_bytes = 1024});
    simulation.runInTurn(shape);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace signccl
