// SPDX-License-Identifier: Apache-2.0
#include "exec/plan.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "kernels/kernels.h"
#include "schedule/algorithm.h"
#include "schedule/builder.h"

namespace signccl {
namespace {

constexpr ChunkRun kWhole{0, 1};

/// Steps that step `number` waits for directly.
std::set<int> predecessorsOf(const Plan& plan, int number) {
  std::set<int> predecessors;
  for (const PlanStep& step : plan.steps) {
    const auto dependents = plan.dependentsOf(step);
    if (std::ranges::find(dependents, number) != dependents.end()) predecessors.insert(static_cast<int>(step.number));
  }
  return predecessors;
}

bool contains(const std::vector<std::int32_t>& steps, int number) {
  return std::ranges::find(steps, number) != steps.end();
}

TEST(PlanTest, RoundsAreThoseThatTheAlgorithmsAreKnownFor) {
  const auto rounds = [](Algorithm algorithm, int nranks) {
    return compilePlan(buildSchedule(algorithm, 0, Topology::singleNode(nranks)), {SignOp::kVote, nranks}).nrounds;
  };
  for (const int nranks : {2, 3, 4, 8}) {
    EXPECT_EQ(rounds(Algorithm::kOneShot, nranks), 1);
    EXPECT_EQ(rounds(Algorithm::kDirect, nranks), 2);
    EXPECT_EQ(rounds(Algorithm::kRing, nranks), 2 * (nranks - 1));
  }
  EXPECT_EQ(rounds(Algorithm::kDirect, 1), 0);
  const Schedule hierarchical = buildSchedule(Algorithm::kHierarchical, 0, Topology::uniform(8, 4));
  EXPECT_EQ(compilePlan(hierarchical, {SignOp::kVote, 8}).nrounds, 4);
}

TEST(PlanTest, NoSendWaitsForAMessageOfItsOwnRoundOrALaterOne) {
  for (const int nranks : {2, 3, 7, 8, 13}) {
    for (const Algorithm algorithm : allAlgorithms()) {
      for (Rank rank = 0; rank < nranks; ++rank) {
        const Plan plan =
            compilePlan(buildSchedule(algorithm, rank, Topology::uniform(nranks, 3)), {SignOp::kAvg, nranks});
        std::vector<int> round_of(plan.steps.size(), -1);  // of messages
        for (int round = 0; round < plan.nrounds; ++round) {
          for (const std::int32_t step : plan.messagesOfRound(round)) round_of[static_cast<std::size_t>(step)] = round;
        }
        std::vector<int> awaited(plan.steps.size(), -1);  // latest round of a message that a step depends on
        for (const PlanStep& step : plan.steps) {
          EXPECT_EQ(round_of[step.number] >= 0, step.kind == StepKind::kSend || step.kind == StepKind::kRecv);
          EXPECT_TRUE(step.kind != StepKind::kSend || awaited[step.number] < round_of[step.number]);
          const int reached = std::max(awaited[step.number], step.kind == StepKind::kRecv ? round_of[step.number] : -1);
          for (const std::int32_t later : plan.dependentsOf(step)) {
            int& latest = awaited[static_cast<std::size_t>(later)];
            latest = std::max(latest, reached);
          }
        }
      }
    }
  }
}

TEST(PlanTest, ReceiveIntoAnInboxWaitsForThoseThatReadWhatWasThere) {
  ScheduleBuilder builder(0, 3, 1);
  builder.recvVotes(1, kWhole, 1, 0);
  builder.count(kWhole, {signs(0), inbox(0)});
  builder.recvVotes(2, kWhole, 1, 0);
  builder.count(kWhole, {inbox(0)});
  builder.decide(kWhole);
  builder.sendResult(1, kWhole);
  const Plan plan = compilePlan(builder.finish(), {SignOp::kVote, 3});
  const std::vector<std::set<int>> expected = {{}, {0}, {0, 1}, {1, 2}, {3}, {4}};
  for (int step = 0; step < 6; ++step) EXPECT_EQ(predecessorsOf(plan, step), expected[static_cast<std::size_t>(step)]);
  EXPECT_EQ(plan.at_start, std::vector<std::int32_t>{0});
  EXPECT_EQ(plan.after_encode, std::vector<std::int32_t>{1});
  EXPECT_EQ(plan.nresults_to_write, 1);
}

TEST(PlanTest, ResultsAreReceivedFromTheStartEvenIntoThePlaceOfCounts) {
  // A rank that sends its counts up and gets the result back. The counts of an average lie where its results do, but no
  // result can come before they were received, added and sent on.
  ScheduleBuilder builder(1, 3, 1);
  builder.recvVotes(2, kWhole, 1, 0);
  builder.recvResult(0, kWhole);
  builder.count(kWhole, {signs(0), inbox(0)});
  builder.sendVotes(0, kWhole, 2);
  builder.sendResult(2, kWhole);
  const Schedule schedule = builder.finish();
  for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
    const Plan plan = compilePlan(schedule, {op, 3});
    EXPECT_EQ(plan.at_start, (std::vector<std::int32_t>{0, 1}));
    EXPECT_EQ(predecessorsOf(plan, 2), std::set<int>{0});
    EXPECT_EQ(predecessorsOf(plan, 3), std::set<int>{2});
    EXPECT_EQ(predecessorsOf(plan, 4), std::set<int>{1});
  }
}

TEST(PlanTest, MessagesToAndFromAPeerAreNumberedInTheOrderOfTheirSteps) {
  ScheduleBuilder builder(0, 3, 1);
  builder.recvVotes(1, kWhole, 1, 0);
  builder.recvVotes(2, kWhole, 1, 1);
  builder.sendVotes(1, kWhole, 1);
  builder.count(kWhole, {signs(0), inbox(0), inbox(1)});
  builder.decide(kWhole);
  builder.sendResult(1, kWhole);
  builder.sendResult(2, kWhole);
  const Plan plan = compilePlan(builder.finish(), {SignOp::kVote, 3});
  const auto ordinal = [&](std::size_t step) { return plan.steps[step].ordinal; };
  EXPECT_EQ(ordinal(0), 0U);
  EXPECT_EQ(ordinal(1), 0U);
  EXPECT_EQ(ordinal(2), 0U);
  EXPECT_EQ(ordinal(5), 1U);
  EXPECT_EQ(ordinal(6), 0U);
}

struct HopExpectation {
  int sum_planes;
  bool clamps;
  std::uint64_t low;
  std::uint64_t high;
  int planes;
};

/// Counting steps of a ring, in the order of its hops, against numbers that were worked out by hand from the rule that
/// a count which is won or lost whatever follows needs no detail.
void expectRing(const CountRules& rules, const std::vector<HopExpectation>& hops, const DecideRule& decision) {
  const Plan plan = compilePlan(buildSchedule(Algorithm::kRing, 0, Topology::singleNode(rules.nranks)), rules);
  ASSERT_EQ(plan.count_targets.size(), hops.size());
  for (std::size_t hop = 0; hop < hops.size(); ++hop) {
    SCOPED_TRACE("hop " + std::to_string(hop));
    const CountTarget& target = plan.count_targets[hop];
    EXPECT_EQ(target.before_planes, 0);
    EXPECT_EQ(target.sum_planes, hops[hop].sum_planes);
    EXPECT_EQ(target.clamps, hops[hop].clamps);
    EXPECT_EQ(target.planes, hops[hop].planes);
    if (!target.clamps) continue;
    EXPECT_EQ(target.low, hops[hop].low);
    EXPECT_EQ(target.high, hops[hop].high);
  }
  ASSERT_EQ(plan.decide_rules.size(), 1U);
  EXPECT_EQ(plan.decide_rules[0].threshold, decision.threshold);
  EXPECT_EQ(plan.decide_rules[0].has_ties, decision.has_ties);
  EXPECT_EQ(plan.decide_rules[0].planes, decision.planes);
}

TEST(PlanTest, RingOf3CountsWithoutClamping) {
  expectRing({SignOp::kVote, 3}, {{2, false, 0, 0, 2}, {2, false, 0, 0, 2}}, {2, false, 2});
}

TEST(PlanTest, RingOf5ClampsAfter4Votes) {
  // Of 5 votes 3 win. After 4, counts of 0 and 1 are lost and 3 and 4 are won: 1 to 3 are left, sent as 0 to 2.
  expectRing({SignOp::kVote, 5}, {{2, false, 0, 0, 2}, {2, false, 0, 0, 2}, {3, true, 1, 3, 2}, {2, false, 0, 0, 2}},
             {2, false, 2});
}

TEST(PlanTest, RingOf8ClampsAfter6And7Votes) {
  // Of 8 votes 5 win and 4 tie. After 6, 0 and 1 are lost for good and 5 and 6 won: 1 to 5. After 7, 2 to 5 are left,
  // of counts that are held less 1.
  expectRing({SignOp::kVote, 8, 1, true},
             {{2, false, 0, 0, 2},
              {2, false, 0, 0, 2},
              {3, false, 0, 0, 3},
              {3, false, 0, 0, 3},
              {3, true, 1, 5, 3},
              {3, true, 1, 4, 2},
              {3, false, 0, 0, 3}},
             {3, true, 3});
}

TEST(PlanTest, TernaryRingOf3CountsTwoVotesPerRank) {
  expectRing({SignOp::kVote, 3, 2, true}, {{3, false, 0, 0, 3}, {3, false, 0, 0, 3}}, {4, true, 3});
}

TEST(PlanTest, RingOfAnAverageNeverClamps) {
  expectRing({SignOp::kAvg, 5}, {{2, false, 0, 0, 2}, {2, false, 0, 0, 2}, {3, false, 0, 0, 3}, {3, false, 0, 0, 3}},
             {3, false, 3});
}

TEST(PlanTest, MessagesOfARingWidenAndNarrowWithTheCounts) {
  const Plan plan = compilePlan(buildSchedule(Algorithm::kRing, 0, Topology::singleNode(8)), {SignOp::kVote, 8});
  std::vector<int> sent;
  for (const PlanStep& step : plan.steps) {
    if (step.kind == StepKind::kSend) sent.push_back(step.planes);
  }
  EXPECT_EQ(sent, (std::vector<int>{1, 2, 2, 3, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1}));
}

/// Whether any send or receive of that kind of slot is staged.
bool stages(const Plan& plan, SlotKind kind) {
  return std::ranges::any_of(plan.steps,
                             [&](const PlanStep& step) { return step.is_staged && step.slot.kind == kind; });
}

bool liesByPlane(const Plan& plan, SlotKind kind) { return plan.by_plane[static_cast<std::size_t>(kind)]; }

// 9 ranks: two levels of three parts, so messages of the first level are of three chunks.
Plan planOfNineKnomial(const CountRules& rules) {
  return compilePlan(buildSchedule(Algorithm::kKnomial, 4, Topology::singleNode(9)), rules);
}

TEST(PlanTest, SlotsOfRunsLieByPlane) {
  const Plan plan = planOfNineKnomial({SignOp::kVote, 9});
  for (const SlotKind kind : {SlotKind::kSigns, SlotKind::kCounts, SlotKind::kResult}) {
    EXPECT_TRUE(liesByPlane(plan, kind));
  }
  EXPECT_FALSE(liesByPlane(plan, SlotKind::kInbox));
}

TEST(PlanTest, MessagesOfSeveralPlanesOfRunsAreStaged) {
  const Plan binary = planOfNineKnomial({SignOp::kVote, 9});
  EXPECT_FALSE(stages(binary, SlotKind::kSigns));
  EXPECT_TRUE(stages(binary, SlotKind::kCounts));
  EXPECT_FALSE(stages(binary, SlotKind::kResult));
  EXPECT_FALSE(stages(binary, SlotKind::kInbox));
  const Plan ternary = planOfNineKnomial({SignOp::kVote, 9, 2, true});
  EXPECT_TRUE(stages(ternary, SlotKind::kSigns));
  EXPECT_TRUE(stages(ternary, SlotKind::kResult));
}

TEST(PlanTest, MessagesOfSingleChunksAreNeverStaged) {
  for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
    const Plan plan =
        compilePlan(buildSchedule(Algorithm::kDirect, 1, Topology::singleNode(9)), {op, 9, 2, op == SignOp::kVote});
    for (const bool by_plane : plan.by_plane) EXPECT_FALSE(by_plane);
    EXPECT_TRUE(std::ranges::none_of(plan.steps, &PlanStep::is_staged));
  }
}

TEST(PlanTest, CountsAndResultsOfAnAverageLieAlike) {
  for (const Algorithm algorithm : allAlgorithms()) {
    for (const int nranks : {2, 6, 9, 12}) {
      const Topology topology = Topology::uniform(nranks, 3);
      const Plan plan = compilePlan(buildSchedule(algorithm, 0, topology), {SignOp::kAvg, nranks});
      EXPECT_EQ(liesByPlane(plan, SlotKind::kCounts), liesByPlane(plan, SlotKind::kResult));
    }
  }
}

TEST(PlanTest, BrokenSchedulesAreRejected) {
  const auto expect_rejected = [](ScheduleBuilder builder, const char* what) {
    EXPECT_THROW(compilePlan(builder.finish(), {SignOp::kVote, 3}), Error) << what;
  };
  ScheduleBuilder early(0, 3, 1);
  early.count(kWhole, {signs(0)});
  early.decide(kWhole);
  expect_rejected(early, "a decision without all votes");

  ScheduleBuilder unfilled(0, 3, 1);
  unfilled.recvVotes(1, kWhole, 1, 1);
  unfilled.count(kWhole, {signs(0), inbox(0)});
  expect_rejected(unfilled, "a count of an inbox that nothing was received into");

  ScheduleBuilder twice(0, 3, 1);
  twice.recvVotes(1, kWhole, 2, 0);
  twice.count(kWhole, {signs(0), inbox(0), inbox(0)});
  expect_rejected(twice, "more votes than there are ranks");

  ScheduleBuilder partial(0, 3, 1);
  partial.recvVotes(1, kWhole, 3, 0);
  expect_rejected(partial, "a result in an inbox");
}

/// One slot that steps conflict over: kind and number.
using Place = std::pair<SlotKind, int>;

struct Touched {
  std::set<Place> reads;
  std::set<Place> writes;
};

Touched touchedBy(const Plan& plan, const PlanStep& step) {
  Touched touched;
  const auto add = [&](std::set<Place>& places, Slot slot) {
    const int count = slot.kind == SlotKind::kInbox ? 1 : step.run.count;
    for (int i = 0; i < count; ++i) places.insert({slot.kind, slot.index + i});
  };
  if (step.kind == StepKind::kSend) {
    add(touched.reads, step.slot);
  } else {
    add(touched.writes, step.slot);
  }
  for (const CountSource& source : plan.sourcesOf(step)) add(touched.reads, source.slot);
  if (step.kind == StepKind::kDecide) add(touched.reads, counts(step.run.first));
  return touched;
}

bool meet(const std::set<Place>& a, const std::set<Place>& b) {
  return std::ranges::any_of(a, [&](const Place& place) { return b.contains(place); });
}

/// Every two steps that touch the same slot, one of them writing, run in program order.
void expectConflictsAreOrdered(const Plan& plan) {
  const std::size_t nsteps = plan.steps.size();
  std::vector<Touched> touched;
  std::vector<std::vector<bool>> before(nsteps,
                                        std::vector<bool>(nsteps));  // [later][earlier], through any number of steps
  std::vector<int> waits(nsteps);
  for (const PlanStep& step : plan.steps) touched.push_back(touchedBy(plan, step));
  for (const PlanStep& step : plan.steps) {
    for (const std::int32_t dependent : plan.dependentsOf(step)) {
      const auto later = static_cast<std::size_t>(dependent);
      ASSERT_GT(later, step.number);
      ++waits[later];
      before[later][step.number] = true;
      for (std::size_t i = 0; i < step.number; ++i) {
        if (before[step.number][i]) before[later][i] = true;
      }
    }
  }
  for (std::size_t later = 0; later < nsteps; ++later) {
    const bool reads_signs =
        std::ranges::any_of(touched[later].reads, [](const Place& p) { return p.first == SlotKind::kSigns; });
    ASSERT_EQ(contains(plan.after_encode, static_cast<int>(later)), reads_signs);
    ASSERT_EQ(plan.steps[later].waits_for, waits[later] + (reads_signs ? 1 : 0));
    ASSERT_EQ(contains(plan.at_start, static_cast<int>(later)), plan.steps[later].waits_for == 0);
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      const Touched& a = touched[earlier];
      const Touched& b = touched[later];
      if (!meet(a.writes, b.reads) && !meet(a.reads, b.writes) && !meet(a.writes, b.writes)) continue;
      ASSERT_TRUE(before[later][earlier]) << "step " << later << " may overtake step " << earlier;
    }
  }
}

class PlanOrderTest : public ::testing::TestWithParam<Algorithm> {};

TEST_P(PlanOrderTest, StepsThatShareASlotKeepTheirOrder) {
  for (int nranks = 1; nranks <= 12; ++nranks) {
    for (const Topology& topology : {Topology::singleNode(nranks), Topology::uniform(nranks, 3)}) {
      for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
        for (const Rank rank : {0, nranks / 2, nranks - 1}) {
          SCOPED_TRACE("rank " + std::to_string(rank) + " of " + std::to_string(nranks));
          expectConflictsAreOrdered(compilePlan(buildSchedule(GetParam(), rank, topology), {op, nranks}));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, PlanOrderTest, ::testing::ValuesIn(allAlgorithms().begin(), allAlgorithms().end()),
                         [](const auto& tested) { return std::string(algorithmName(tested.param)); });

}  // namespace
}  // namespace signccl
