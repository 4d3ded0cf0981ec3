// SPDX-License-Identifier: Apache-2.0
#include "exec/stations.h"

#include <span>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "schedule/algorithm.h"
#include "support/random_tie.h"

namespace signccl {
namespace {

/// The stations of one rank with memory of their own, and no engine.
class Bench {
 public:
  Bench(Algorithm algorithm, const CountRules& rules, const Batch& batch, std::size_t nslices)
      : plan_(compilePlan(buildSchedule(algorithm, 0, Topology::singleNode(rules.nranks)), rules)), batch_(batch) {
    batch_.rules = rules;
    context_.kernels = &referenceKernels();
    context_.plan = &plan_;
    context_.batch = &batch_;
    context_.layout = &layout_;
    context_.nslices = nslices;
    layout_.build(plan_, (batch_.nwords + nslices - 1) / nslices);
    memory_.assign(layout_.totalWords(), 0);
    inboxes_.assign(static_cast<std::size_t>(plan_.ninboxes), nullptr);
  }

  [[nodiscard]] Slice slice(std::size_t number) {
    const WordRange range = context_.sliceRange(number);
    return {number, range.begin, range.size, memory_.data(), inboxes_};
  }

  [[nodiscard]] const StationContext& context() const { return context_; }
  [[nodiscard]] const Plan& plan() const { return plan_; }
  [[nodiscard]] Batch& batch() { return batch_; }
  [[nodiscard]] std::vector<const Word*>& inboxes() { return inboxes_; }

  /// The `nwords` words of one plane of a slot of chunk 0.
  [[nodiscard]] Word* plane(SlotKind kind, int number, const Slice& slice) {
    const WordRange words = context_.wordsOf(slice, {0, 1});
    const SlotRange range = layout_.locate(kind, 0, words, slice.nwords);
    return memory_.data() + range.offset + static_cast<std::size_t>(number) * range.stride;
  }

  [[nodiscard]] const PlanStep& firstStep(StepKind kind) const {
    for (const PlanStep& step : plan_.steps) {
      if (step.kind == kind) return step;
    }
    throw std::logic_error("the plan has no such step");
  }

 private:
  Plan plan_;
  Batch batch_;
  Layout layout_;
  StationContext context_;
  std::vector<Word> memory_;
  std::vector<const Word*> inboxes_;
};

constexpr CountRules kVoteOfTwo{SignOp::kVote, 2};

/// Calls of 70 and 10 int8 elements: words 0 and 1, and word 2.
struct TwoCalls {
  std::vector<std::int8_t> first = std::vector<std::int8_t>(70, 1);
  std::vector<std::int8_t> second = std::vector<std::int8_t>(10, 1);

  [[nodiscard]] Batch batch() {
    Batch result;
    for (std::vector<std::int8_t>* elements : {&first, &second}) {
      result.add({.source = elementSource(ElementType::kInt8, elements->data()),
                  .sink = elementSink(ElementType::kInt8, elements->data()),
                  .count = elements->size(),
                  .call = result.segments.size()});
    }
    return result;
  }
};

TEST(StationsTest, SliceEncodesItsPartOfEveryCallAndClearsThePadding) {
  TwoCalls calls;
  calls.first[65] = -1;
  calls.second[0] = -1;
  Bench bench(Algorithm::kOneShot, kVoteOfTwo, calls.batch(), 2);
  const Slice slice = bench.slice(1);
  ASSERT_EQ(slice.word_begin, 1U);
  ASSERT_EQ(slice.nwords, 2U);
  encodeSlice(bench.context(), slice);
  const Word* signs = bench.plane(SlotKind::kSigns, 0, slice);
  EXPECT_EQ(signs[0], 0b111101U);
  EXPECT_EQ(signs[1], 0b1111111110U);
}

TEST(StationsTest, TernarySignsAreTwoPlanes) {
  TwoCalls calls;
  calls.second = {1, 0, -1};
  Bench bench(Algorithm::kOneShot, {SignOp::kVote, 2, 2, true}, calls.batch(), 3);
  const Slice slice = bench.slice(2);
  encodeSlice(bench.context(), slice);
  EXPECT_EQ(*bench.plane(SlotKind::kSigns, 0, slice), 0b001U) << "positive";
  EXPECT_EQ(*bench.plane(SlotKind::kSigns, 1, slice), 0b011U) << "not negative";
}

TEST(StationsTest, CountAddsTheOwnSignsAndThoseInTheInbox) {
  TwoCalls calls;
  Bench bench(Algorithm::kOneShot, kVoteOfTwo, calls.batch(), 1);
  const Slice slice = bench.slice(0);
  const std::vector<Word> received = {0b0011, 0, 7};
  bench.inboxes()[0] = received.data();
  bench.plane(SlotKind::kSigns, 0, slice)[0] = 0b0101;
  countVotes(bench.context(), slice, bench.firstStep(StepKind::kCount));
  EXPECT_EQ(bench.plane(SlotKind::kCounts, 0, slice)[0], 0b0110U);
  EXPECT_EQ(bench.plane(SlotKind::kCounts, 1, slice)[0], 0b0001U);
  EXPECT_EQ(bench.plane(SlotKind::kCounts, 0, slice)[2], 7U);
}

TEST(StationsTest, RandomTiesFollowTheCallAndTheWordInItsOwnBuffer) {
  TwoCalls calls;
  Bench bench(Algorithm::kOneShot, kVoteOfTwo, calls.batch(), 1);
  bench.batch().tie = TieRule::kRandom;
  const Slice slice = bench.slice(0);
  for (int word = 0; word < 3; ++word) bench.plane(SlotKind::kCounts, 0, slice)[word] = ~Word{0};  // one of two votes
  decideChunk(bench.context(), slice, bench.firstStep(StepKind::kDecide));
  const Word* results = bench.plane(SlotKind::kResult, 0, slice);
  EXPECT_EQ(results[0], tieWordOf(0, 0));
  EXPECT_EQ(results[1], tieWordOf(0, 1));
  EXPECT_EQ(results[2], tieWordOf(1, 0)) << "the first word of call number 1";
}

TEST(StationsTest, SliceDecodesItsElementsAndNoOthers) {
  TwoCalls calls;
  calls.first.assign(70, 9);
  calls.second.assign(10, 9);
  Bench bench(Algorithm::kOneShot, kVoteOfTwo, calls.batch(), 3);
  const Slice slice = bench.slice(1);
  bench.plane(SlotKind::kResult, 0, slice)[0] = 0b000011;
  decodeSlice(bench.context(), slice);
  std::vector<std::int8_t> expected(70, 9);
  for (std::size_t i = 64; i < 70; ++i) expected[i] = i < 66 ? 1 : -1;
  EXPECT_EQ(calls.first, expected);
  EXPECT_EQ(calls.second, std::vector<std::int8_t>(10, 9));
}

TEST(StationsTest, StagedMessageHoldsThePlanesOfItsRunOneAfterTheOther) {
  // K-nomial of 9 ranks sends ternary signs of three chunks at once, from planes that lie a slice apart.
  std::vector<float> elements(18 * kWordBits);
  Batch batch;
  batch.add({.source = elementSource(ElementType::kFloat32, elements.data()),
             .sink = elementSink(ElementType::kFloat32, elements.data()),
             .count = elements.size()});
  Bench bench(Algorithm::kKnomial, {SignOp::kVote, 9, 2, true}, batch, 1);
  const Slice slice = bench.slice(0);
  ASSERT_EQ(slice.nwords, 18U);
  for (Word word = 0; word < 18; ++word) {
    bench.plane(SlotKind::kSigns, 0, slice)[word] = 100 + word;
    bench.plane(SlotKind::kSigns, 1, slice)[word] = 200 + word;
  }
  const PlanStep& send = bench.firstStep(StepKind::kSend);
  ASSERT_TRUE(send.is_staged);
  ASSERT_EQ(send.run, (ChunkRun{3, 3}));
  gatherMessage(bench.context(), slice, send);
  const std::span<Word> message = messageWords(bench.context(), slice, send);
  EXPECT_EQ(std::vector<Word>(message.begin(), message.end()),
            (std::vector<Word>{106, 107, 108, 109, 110, 111, 206, 207, 208, 209, 210, 211}));
}

TEST(StationsTest, StagedMessageIsTakenApartIntoThePlanesOfItsRun) {
  std::vector<float> elements(9 * kWordBits);
  Batch batch;
  batch.add({.source = elementSource(ElementType::kFloat32, elements.data()),
             .sink = elementSink(ElementType::kFloat32, elements.data()),
             .count = elements.size()});
  Bench bench(Algorithm::kKnomial, {SignOp::kVote, 9, 2, true}, batch, 1);
  const Slice slice = bench.slice(0);
  for (const PlanStep& step : bench.plan().steps) {
    if (step.kind != StepKind::kRecv || step.slot.kind != SlotKind::kResult) continue;
    ASSERT_TRUE(step.is_staged);
    const std::span<Word> message = messageWords(bench.context(), slice, step);
    ASSERT_EQ(message.size(), 2U * static_cast<std::size_t>(step.run.count));
    for (Word& word : message) word = static_cast<Word>(1 + (&word - message.data()));
    scatterMessage(bench.context(), slice, step);
    for (int plane = 0; plane < 2; ++plane) {
      for (int i = 0; i < step.run.count; ++i) {
        EXPECT_EQ(bench.plane(SlotKind::kResult, plane, slice)[step.run.first + i],
                  static_cast<Word>(1 + plane * step.run.count + i));
      }
    }
  }
}

}  // namespace
}  // namespace signccl
