// SPDX-License-Identifier: Apache-2.0
#include "exec/layout.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "schedule/algorithm.h"

namespace signccl {
namespace {

/// Which slot each word of a slice's memory belongs to.
class Occupancy {
 public:
  Occupancy(const Plan& plan, const Layout& layout, std::size_t slice_words)
      : plan_(plan), layout_(layout), slice_words_(slice_words), owners_(layout.totalWords()) {}

  /// Takes the memory of every slot. False, with a message, if two slots overlap or one ends beyond the memory.
  bool takeAll() {
    for (int chunk = 0; chunk < plan_.nchunks; ++chunk) {
      const int counts_planes = plan_.counts_planes[static_cast<std::size_t>(chunk)];
      takeSlot(SlotKind::kSigns, chunk, plan_.rules.votes_per_rank);
      takeSlot(SlotKind::kCounts, chunk, counts_planes);
      if (plan_.rules.op == SignOp::kAvg && counts_planes > 0) {
        shareCounts(chunk);
      } else {
        takeSlot(SlotKind::kResult, chunk, resultPlanes(plan_.rules));
      }
    }
    // Receives into the same inbox share it, those into different ones do not.
    for (const PlanStep& step : plan_.steps) {
      const std::size_t nwords = static_cast<std::size_t>(step.planes) * wordsOf(step.run).size;
      if (step.kind == StepKind::kRecv && step.slot.kind == SlotKind::kInbox) {
        take("inbox " + std::to_string(step.slot.index), layout_.inbox(step.slot.index), nwords);
      }
      if (step.is_staged) take("staging " + std::to_string(step.number), layout_.staging(step.number), nwords);
    }
    return is_good_;
  }

  [[nodiscard]] const std::string& objection() const { return objection_; }

 private:
  [[nodiscard]] WordRange wordsOf(ChunkRun run) const { return chunkRange(slice_words_, plan_.nchunks, run); }

  [[nodiscard]] SlotRange locate(SlotKind kind, int chunk) const {
    return layout_.locate(kind, chunk, wordsOf({chunk, 1}), slice_words_);
  }

  void takeSlot(SlotKind kind, int chunk, int planes) {
    const SlotRange range = locate(kind, chunk);
    const std::string name = "kind " + std::to_string(static_cast<int>(kind)) + " chunk " + std::to_string(chunk);
    for (int plane = 0; plane < planes; ++plane) {
      take(name, range.offset + static_cast<std::size_t>(plane) * range.stride, wordsOf({chunk, 1}).size);
    }
  }

  /// Results of an average lie where its counts do.
  void shareCounts(int chunk) {
    const SlotRange counts_range = locate(SlotKind::kCounts, chunk);
    const SlotRange results_range = locate(SlotKind::kResult, chunk);
    if (counts_range.offset != results_range.offset || counts_range.stride != results_range.stride) {
      object("chunk " + std::to_string(chunk) + " has its results apart from its counts");
    }
  }

  void take(const std::string& owner, std::size_t begin, std::size_t size) {
    if (begin + size > owners_.size()) return object(owner + " ends beyond the memory");
    for (std::size_t word = begin; word < begin + size; ++word) {
      if (!owners_[word].empty() && owners_[word] != owner) return object(owner + " overlaps " + owners_[word]);
      owners_[word] = owner;
    }
  }

  void object(const std::string& text) {
    if (is_good_) objection_ = text;
    is_good_ = false;
  }

  const Plan& plan_;
  const Layout& layout_;
  std::size_t slice_words_;
  std::vector<std::string> owners_;
  bool is_good_ = true;
  std::string objection_;
};

/// A run's planes are the planes of its chunks, one chunk after the other, wherever a step works on a run.
void expectRunsAreUniform(const Plan& plan, const Layout& layout, std::size_t slice_words) {
  const auto expect_uniform = [&](SlotKind kind, ChunkRun run) {
    if (kind == SlotKind::kInbox || run.count == 1) return;
    const WordRange all = chunkRange(slice_words, plan.nchunks, run);
    const SlotRange whole = layout.locate(kind, run.first, all, slice_words);
    for (int chunk = run.first; chunk < run.end(); ++chunk) {
      const WordRange words = chunkRange(slice_words, plan.nchunks, chunk);
      const SlotRange part = layout.locate(kind, chunk, words, slice_words);
      ASSERT_EQ(part.offset, whole.offset + (words.begin - all.begin));
      ASSERT_EQ(part.stride, whole.stride);
    }
  };
  for (const PlanStep& step : plan.steps) {
    expect_uniform(step.slot.kind, step.run);
    for (const CountSource& source : plan.sourcesOf(step)) expect_uniform(source.slot.kind, step.run);
  }
}

void expectRoomForAll(const Plan& plan) {
  // Fewer words than chunks, as many, and more; and every smaller slice in the same memory.
  const auto nchunks = static_cast<std::size_t>(plan.nchunks);
  for (const std::size_t built : {std::size_t{1}, std::size_t{5}, nchunks, 2 * nchunks + 1}) {
    Layout layout;
    layout.build(plan, built);
    ASSERT_EQ(layout.totalWords() % 8, 0U);
    for (std::size_t slice_words = 1; slice_words <= built; ++slice_words) {
      Occupancy occupancy(plan, layout, slice_words);
      ASSERT_TRUE(occupancy.takeAll()) << occupancy.objection() << ", slice of " << slice_words << " words in "
                                       << built;
      expectRunsAreUniform(plan, layout, slice_words);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

class LayoutTest : public ::testing::TestWithParam<Algorithm> {};

TEST_P(LayoutTest, SlotsDoNotOverlapInSlicesOfAnySize) {
  for (int nranks = 1; nranks <= 17; ++nranks) {
    const Topology topology = GetParam() == Algorithm::kHierarchical ? Topology::uniform(nranks, 4)  //
                                                                     : Topology::singleNode(nranks);
    for (const Rank rank : {0, nranks - 1}) {
      const Schedule schedule = buildSchedule(GetParam(), rank, topology);
      for (const int votes_per_rank : {1, 2}) {
        for (const CountRules& rules : {CountRules{SignOp::kVote, nranks, votes_per_rank, false},
                                        CountRules{SignOp::kVote, nranks, votes_per_rank, true},
                                        CountRules{SignOp::kAvg, nranks, votes_per_rank, false}}) {
          SCOPED_TRACE("rank " + std::to_string(rank) + " of " + std::to_string(nranks) + ", votes per rank " +
                       std::to_string(votes_per_rank) + (rules.op == SignOp::kAvg ? ", avg" : ", vote"));
          expectRoomForAll(compilePlan(schedule, rules));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, LayoutTest, ::testing::ValuesIn(allAlgorithms().begin(), allAlgorithms().end()),
                         [](const auto& tested) { return std::string(algorithmName(tested.param)); });

TEST(LayoutOccupancyTest, OverlapIsNoticed) {
  const Plan plan = compilePlan(buildSchedule(Algorithm::kDirect, 0, Topology::singleNode(4)), {SignOp::kVote, 4});
  Layout layout;
  layout.build(plan, 40);
  // A slice that is larger than the layout was built for reaches into its neighbours.
  Occupancy occupancy(plan, layout, 80);
  EXPECT_FALSE(occupancy.takeAll());
}

TEST(LayoutOccupancyTest, OneLayoutServesPlansOfDifferentAlgorithms) {
  const CountRules rules{SignOp::kVote, 9};
  Layout layout;
  for (const Algorithm algorithm : {Algorithm::kKnomial, Algorithm::kDirect, Algorithm::kOneShot}) {
    const Plan plan = compilePlan(buildSchedule(algorithm, 0, Topology::singleNode(9)), rules);
    layout.build(plan, 20);
    Occupancy occupancy(plan, layout, 20);
    EXPECT_TRUE(occupancy.takeAll()) << occupancy.objection();
  }
}

}  // namespace
}  // namespace signccl
