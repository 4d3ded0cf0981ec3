// SPDX-License-Identifier: Apache-2.0
#include "schedule/verify/verify.h"

#include <algorithm>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "build_all.h"
#include "schedule/builder.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class VerifyTest : public ::testing::TestWithParam<Algorithm> {};

TEST_P(VerifyTest, AcceptsTheAlgorithmForEveryNumberOfRanksUpTo128) {
  for (int nranks = 1; nranks <= 128; nranks += kSanitized ? 3 : 1) {
    for (const Topology& topology : topologiesOf(nranks)) {
      const Verdict verdict = verify(buildAll(GetParam(), topology));
      ASSERT_TRUE(verdict.ok) << nameOf(GetParam(), topology) << ": " << verdict.message;
    }
  }
}

TEST_P(VerifyTest, AcceptsPrimesPowersAndOthersAbove500) {
  for (const int nranks : {509, 512, 600}) {
    const Topology topology = Topology::uniform(nranks, 8);
    const Verdict verdict = verify(buildAll(GetParam(), topology));
    EXPECT_TRUE(verdict.ok) << nameOf(GetParam(), topology) << ": " << verdict.message;
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, VerifyTest, ::testing::ValuesIn(allAlgorithms().begin(), allAlgorithms().end()),
                         [](const auto& tested) { return std::string(algorithmName(tested.param)); });

class VerifyLargeTest : public ::testing::TestWithParam<std::pair<Algorithm, int>> {};

TEST_P(VerifyLargeTest, AcceptsTheAlgorithm) {
  const Algorithm algorithm = GetParam().first;
  const int nranks = GetParam().second;
  const Topology topology = Topology::uniform(nranks, 8);
  const Verdict verdict = verify(nranks, [&](Rank rank) { return buildSchedule(algorithm, rank, topology); });
  EXPECT_TRUE(verdict.ok) << verdict.message;
}

INSTANTIATE_TEST_SUITE_P(Algorithms, VerifyLargeTest,
                         ::testing::Values(std::pair{Algorithm::kRing, 1024}, std::pair{Algorithm::kDirect, 1024},
                                           std::pair{Algorithm::kTree, 4096}, std::pair{Algorithm::kKnomial, 4096},
                                           std::pair{Algorithm::kHierarchical, 4096}),
                         [](const auto& tested) { return std::string(algorithmName(tested.param.first)); });

// From here on: schedules with one bug each.

using Schedules = std::vector<Schedule>;

Schedules build(Algorithm algorithm, int nranks) { return buildAll(algorithm, Topology::singleNode(nranks)); }

/// Index of the n-th step that `matches`, counted from 0.
template <typename Predicate>
std::size_t findIf(const Schedule& schedule, int n, const Predicate& matches) {
  for (std::size_t i = 0; i < schedule.steps.size(); ++i) {
    if (matches(schedule.steps[i]) && n-- == 0) return i;
  }
  ADD_FAILURE() << "no such step";
  return 0;
}

std::size_t find(const Schedule& schedule, StepKind kind, int n = 0) {
  return findIf(schedule, n, [&](const Step& step) { return step.kind == kind; });
}

/// The step that sends `slot` to `peer`, or receives from `peer` into it.
std::size_t findMessage(const Schedule& schedule, StepKind kind, Slot slot, Rank peer) {
  return findIf(schedule, 0,
                [&](const Step& step) { return step.kind == kind && step.slot == slot && step.peer == peer; });
}

Step& step(Schedule& schedule, StepKind kind, int n = 0) { return schedule.steps[find(schedule, kind, n)]; }

void erase(Schedule& schedule, std::size_t index) {
  schedule.steps.erase(schedule.steps.begin() + static_cast<std::ptrdiff_t>(index));
}

void insert(Schedule& schedule, std::size_t index, const Step& step) {
  schedule.steps.insert(schedule.steps.begin() + static_cast<std::ptrdiff_t>(index), step);
}

/// Adds a second step like the first of that kind, at the end.
void repeat(Schedule& schedule, StepKind kind) { schedule.steps.push_back(step(schedule, kind)); }

template <typename Matcher>
void expectRejected(const Schedules& schedules, const Matcher& matcher) {
  const Verdict verdict = verify(schedules);
  EXPECT_FALSE(verdict.ok);
  EXPECT_THAT(verdict.message, matcher);
}

TEST(VerifierTest, RejectsAVoteCountedTwice) {
  Schedules schedules = build(Algorithm::kDirect, 4);
  Schedule& broken = schedules[2];
  broken.sources[0] = broken.sources[1];
  expectRejected(schedules, AllOf(HasSubstr("rank 2 step 9"), HasSubstr("counts the vote of rank 1 twice")));
}

TEST(VerifierTest, RejectsSignsCountedInTwoSteps) {
  Schedules schedules = build(Algorithm::kRing, 4);
  insert(schedules[1], find(schedules[1], StepKind::kCount), step(schedules[1], StepKind::kCount));
  expectRejected(schedules, AllOf(HasSubstr("rank 1 step 3"), HasSubstr("counts the vote of rank")));
}

TEST(VerifierTest, RejectsAVoteThatIsNotCounted) {
  Schedules schedules = build(Algorithm::kDirect, 4);
  --step(schedules[3], StepKind::kCount).nsources;
  expectRejected(schedules, AllOf(HasSubstr("rank 3 step 10 (decide"), HasSubstr("has the votes of 3 ranks only")));
}

TEST(VerifierTest, RejectsAMajorityOfPartOfTheRanks) {
  Schedules schedules = build(Algorithm::kTree, 8);
  insert(schedules[0], 0, step(schedules[0], StepKind::kDecide));
  expectRejected(schedules, HasSubstr("has the votes of 0 ranks only"));
}

TEST(VerifierTest, RejectsALostChunk) {
  Schedules schedules = build(Algorithm::kDirect, 4);
  erase(schedules[2], findMessage(schedules[2], StepKind::kSend, result(2), 0));
  erase(schedules[0], findMessage(schedules[0], StepKind::kRecv, result(2), 2));
  expectRejected(schedules, HasSubstr("rank 0 ends after step 13 without result 2"));
}

TEST(VerifierTest, RejectsAChunkThatIsNotDecided) {
  Schedules schedules = build(Algorithm::kDirect, 4);
  erase(schedules[1], find(schedules[1], StepKind::kDecide));
  expectRejected(schedules, AllOf(HasSubstr("rank 1 step 10"), HasSubstr("nothing writes result 1 before")));
}

TEST(VerifierTest, RejectsAWrongPeer) {
  Schedules schedules = build(Algorithm::kRing, 5);
  step(schedules[1], StepKind::kSend, 2).peer = 3;
  expectRejected(schedules, AllOf(HasSubstr("rank 2"), HasSubstr("expects other chunks than rank 1 step")));
}

TEST(VerifierTest, RejectsAPeerThatExpectsNothing) {
  Schedules schedules = build(Algorithm::kRing, 5);
  for (int i = 0; i < 8; ++i) step(schedules[1], StepKind::kSend, i).peer = 4;
  expectRejected(schedules, AllOf(HasSubstr("rank 2 step 0"), HasSubstr("its peer never sends it")));
}

TEST(VerifierTest, RejectsSwappedMessages) {
  Schedules schedules = build(Algorithm::kDirect, 4);
  Schedule& broken = schedules[0];
  std::swap(broken.steps[findMessage(broken, StepKind::kSend, signs(1), 1)],
            broken.steps[findMessage(broken, StepKind::kSend, result(0), 1)]);
  expectRejected(schedules, AllOf(HasSubstr("rank 1 step 0"), HasSubstr("expects other chunks")));
}

TEST(VerifierTest, RejectsASendBeforeItsCount) {
  Schedules schedules = build(Algorithm::kRing, 5);
  Schedule& broken = schedules[3];
  std::swap(step(broken, StepKind::kCount), step(broken, StepKind::kSend, 1));
  expectRejected(schedules, AllOf(HasSubstr("rank 3"), HasSubstr("its counts hold the votes of 0 ranks")));
}

TEST(VerifierTest, RejectsADecisionBeforeTheLastCount) {
  Schedules schedules = build(Algorithm::kRing, 5);
  std::swap(step(schedules[0], StepKind::kCount, 3), step(schedules[0], StepKind::kDecide));
  expectRejected(schedules, AllOf(HasSubstr("rank 0"), HasSubstr("has the votes of 0 ranks only")));
}

TEST(VerifierTest, RejectsAWidthThatOnlyTheReceiverBelieves) {
  Schedules schedules = build(Algorithm::kRing, 5);
  step(schedules[2], StepKind::kRecv, 2).votes = 2;
  expectRejected(schedules, AllOf(HasSubstr("rank 2"), HasSubstr("another number of votes, so another width")));
}

TEST(VerifierTest, RejectsARoundThatOnlyOneEndBelieves) {
  Schedules schedules = build(Algorithm::kRing, 5);
  step(schedules[2], StepKind::kRecv, 2).round = 1;
  expectRejected(schedules, AllOf(HasSubstr("rank 2"), HasSubstr("in another round")));
}

TEST(VerifierTest, RejectsAWidthThatBothEndsBelieve) {
  Schedules schedules = build(Algorithm::kRing, 5);
  step(schedules[1], StepKind::kSend, 2).votes = 2;
  step(schedules[2], StepKind::kRecv, 2).votes = 2;
  expectRejected(schedules, AllOf(HasSubstr("rank 1"), HasSubstr("its counts hold the votes of 3 ranks")));
}

TEST(VerifierTest, RejectsCountsOfOneRankSentAsCounts) {
  Schedules schedules = build(Algorithm::kRing, 5);
  step(schedules[1], StepKind::kSend).slot = counts(1);
  expectRejected(schedules, HasSubstr("a message of so many votes is not sent from this slot"));
}

TEST(VerifierTest, RejectsRunsOfDifferentLengthAtTheTwoEnds) {
  Schedules schedules = build(Algorithm::kKnomial, 16);
  --step(schedules[0], StepKind::kSend).nchunks;
  expectRejected(schedules, HasSubstr("expects other chunks than rank 0"));
}

TEST(VerifierTest, RejectsARunWhoseChunksHoldVotesOfDifferentRanks) {
  ScheduleBuilder builder(0, 3, 2);
  builder.recvVotes(1, {0, 1}, 1, 0);
  builder.recvVotes(2, {1, 1}, 1, 1);
  builder.count({0, 1}, {signs(0), inbox(0)});
  builder.count({1, 1}, {signs(1), inbox(1)});
  builder.sendVotes(1, {0, 2}, 2);
  ScheduleBuilder first(1, 3, 2);
  first.sendVotes(0, {0, 1}, 1);
  first.recvVotes(0, {0, 2}, 2, 0);
  ScheduleBuilder second(2, 3, 2);
  second.sendVotes(0, {1, 1}, 1);
  expectRejected({builder.finish(), first.finish(), second.finish()},
                 AllOf(HasSubstr("rank 0 step 4"), HasSubstr("its chunks hold votes of different ranks")));
}

TEST(VerifierTest, RejectsAWaitCycleAndTellsIt) {
  Schedules schedules = build(Algorithm::kDirect, 2);
  for (Schedule& schedule : schedules) {
    std::swap(step(schedule, StepKind::kSend), step(schedule, StepKind::kCount));
  }
  expectRejected(schedules, AllOf(HasSubstr("deadlock"), HasSubstr("rank 0 step 1 (count"),
                                  HasSubstr("rank 1 step 1 (count"), HasSubstr("waits for its step 0")));
}

TEST(VerifierTest, RejectsCountsThatWaitForTheirOwnReaderForEver) {
  // Rank 0 must not add to its counts before rank 1 has taken them. Rank 1 first waits for rank 3, and that for what
  // rank 0 sends after adding.
  ScheduleBuilder zero(0, 4, 1);
  zero.recvVotes(2, {0, 1}, 1, 0);
  zero.count({0, 1}, {signs(0), inbox(0)});
  zero.sendVotes(1, {0, 1}, 2);
  zero.recvVotes(3, {0, 1}, 1, 1);
  zero.count({0, 1}, {inbox(1)});
  zero.sendVotes(3, {0, 1}, 3);
  ScheduleBuilder one(1, 4, 1);
  one.recvVotes(3, {0, 1}, 1, 0);
  one.count({0, 1}, {signs(0), inbox(0)});
  one.recvVotes(0, {0, 1}, 2, 1);
  ScheduleBuilder two(2, 4, 1);
  two.sendVotes(0, {0, 1}, 1);
  ScheduleBuilder three(3, 4, 1);
  three.sendVotes(0, {0, 1}, 1);
  three.recvVotes(0, {0, 1}, 3, 0);
  three.count({0, 1}, {inbox(0)});
  three.sendVotes(1, {0, 1}, 1);
  expectRejected({zero.finish(), one.finish(), two.finish(), three.finish()},
                 AllOf(HasSubstr("deadlock; rank 0 step 4 (count 1 sources"), HasSubstr("waits for its step 2"),
                       HasSubstr("rank 1 step 1"), HasSubstr("rank 3 step 2")));
}

TEST(VerifierTest, RejectsAnInboxOverwrittenBeforeItIsRead) {
  Schedules schedules = build(Algorithm::kDirect, 4);
  step(schedules[1], StepKind::kRecv, 1).slot = inbox(0);
  expectRejected(schedules, AllOf(HasSubstr("rank 1 step 1"),
                                  HasSubstr("overwrites the inbox before what step 0 receives is counted")));
}

TEST(VerifierTest, RejectsAnInboxReadBeforeAnythingIsReceived) {
  Schedules schedules = build(Algorithm::kDirect, 3);
  Schedule& broken = schedules[0];
  const Step count = step(broken, StepKind::kCount);
  erase(broken, find(broken, StepKind::kCount));
  insert(broken, 0, count);
  expectRejected(schedules, AllOf(HasSubstr("rank 0 step 0"), HasSubstr("reads inbox 0 before anything is received")));
}

TEST(VerifierTest, RejectsAnInboxOfOtherChunks) {
  Schedules schedules = build(Algorithm::kTree, 4);
  Schedule& broken = schedules[2];
  step(broken, StepKind::kCount).chunk = 1;
  step(broken, StepKind::kCount).slot = counts(1);
  broken.sources[0] = signs(1);
  expectRejected(schedules, AllOf(HasSubstr("rank 2"), HasSubstr("inbox 0 holds other chunks")));
}

TEST(VerifierTest, RejectsAMessageThatNobodyReceives) {
  Schedules schedules = build(Algorithm::kDirect, 3);
  repeat(schedules[0], StepKind::kSend);
  expectRejected(schedules, AllOf(HasSubstr("rank 0 step 10"), HasSubstr("its peer never receives it")));
}

TEST(VerifierTest, RejectsAReceiveThatNobodySends) {
  Schedules schedules = build(Algorithm::kDirect, 3);
  repeat(schedules[0], StepKind::kRecv);
  expectRejected(schedules, AllOf(HasSubstr("rank 0 step 10"), HasSubstr("its peer never sends it")));
}

TEST(VerifierTest, RejectsAnExtraMessageThatNobodyCounts) {
  Schedules schedules = build(Algorithm::kOneShot, 3);
  repeat(schedules[0], StepKind::kSend);
  repeat(schedules[1], StepKind::kRecv);
  expectRejected(schedules, AllOf(HasSubstr("rank 1 step 6"), HasSubstr("nothing counts the votes that it brings")));
}

TEST(VerifierTest, RejectsAResultWrittenTwice) {
  Schedules schedules = build(Algorithm::kDirect, 3);
  repeat(schedules[2], StepKind::kDecide);
  expectRejected(schedules, AllOf(HasSubstr("rank 2 step 10"), HasSubstr("writes result 2 a second time")));
}

TEST(VerifierTest, RejectsSchedulesThatDisagreeOnTheNumberOfChunks) {
  Schedules schedules = build(Algorithm::kDirect, 3);
  schedules[1].nchunks = 4;
  expectRejected(schedules,
                 HasSubstr("schedule of rank 1 says rank 1 of 3 with 4 chunks, expected rank 1 of 3 with 3"));
}

TEST(VerifierTest, RejectsNoRanksAtAll) { expectRejected({}, HasSubstr("no ranks")); }

struct Malformed {
  const char* complaint;
  void (*spoil)(Schedule&);
};

TEST(VerifierTest, RejectsStepsThatAreNotWellFormed) {
  const Malformed cases[] = {
      {"chunks out of range", [](Schedule& s) { step(s, StepKind::kSend).chunk = 3; }},
      {"chunks out of range", [](Schedule& s) { step(s, StepKind::kSend).nchunks = 3; }},
      {"chunks out of range", [](Schedule& s) { step(s, StepKind::kDecide).nchunks = 0; }},
      {"no such inbox", [](Schedule& s) { step(s, StepKind::kRecv).slot = inbox(2); }},
      {"no such inbox", [](Schedule& s) { step(s, StepKind::kRecv).slot = inbox(-1); }},
      {"the slot is not that of the step's chunk", [](Schedule& s) { step(s, StepKind::kDecide).slot.index = 1; }},
      {"no such peer", [](Schedule& s) { step(s, StepKind::kSend).peer = 3; }},
      {"a message to itself", [](Schedule& s) { step(s, StepKind::kSend).peer = 0; }},
      {"number of votes out of range", [](Schedule& s) { step(s, StepKind::kRecv).votes = 0; }},
      {"not received into this slot", [](Schedule& s) { step(s, StepKind::kRecv).slot = signs(0); }},
      {"not received into this slot", [](Schedule& s) { step(s, StepKind::kRecv).votes = 3; }},
      {"not sent from this slot", [](Schedule& s) { step(s, StepKind::kSend).slot = inbox(0); }},
      {"only counts are counted into", [](Schedule& s) { step(s, StepKind::kCount).slot = signs(0); }},
      {"nothing to count", [](Schedule& s) { step(s, StepKind::kCount).nsources = 0; }},
      {"sources out of range", [](Schedule& s) { step(s, StepKind::kCount).first_source = 1; }},
      {"a source is no inbox of this schedule", [](Schedule& s) { s.sources[1] = inbox(2); }},
      {"only signs and inboxes are counted", [](Schedule& s) { s.sources[1] = counts(0); }},
      {"counts signs of another chunk", [](Schedule& s) { s.sources[0] = signs(1); }},
      {"only a result is decided", [](Schedule& s) { step(s, StepKind::kDecide).slot = counts(0); }},
  };
  for (const Malformed& bad : cases) {
    Schedules schedules = build(Algorithm::kDirect, 3);
    bad.spoil(schedules[0]);
    expectRejected(schedules, AllOf(HasSubstr("rank 0 step"), HasSubstr(bad.complaint)));
  }
}

}  // namespace
}  // namespace signccl
