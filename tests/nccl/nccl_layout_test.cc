// SPDX-License-Identifier: Apache-2.0
// How exchanges over NCCL are cut.
#include "nccl/nccl_layout.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "exec/external_ends.h"

namespace signccl {
namespace {

CountRules votesOf(int nranks, int votes_per_rank = 1) { return {SignOp::kVote, nranks, votes_per_rank, false}; }

NcclSchedule scheduleOf(int nranks, std::size_t nwords, std::optional<Algorithm> algorithm = {}) {
  return NcclLayout(votesOf(nranks), nwords, {.algorithm = algorithm}).schedule();
}

TEST(NcclLayoutTest, SmallVectorsGoInOneShotAndLargeOnesInTwoPhases) {
  constexpr std::size_t kSmall = 1'000;
  constexpr std::size_t kLarge = 1'000'000;
  EXPECT_EQ(scheduleOf(1, kLarge), NcclSchedule::kAlone);
  EXPECT_EQ(scheduleOf(2, kLarge), NcclSchedule::kOneShot) << "two ranks gain nothing by a second phase";
  EXPECT_EQ(scheduleOf(8, kSmall), NcclSchedule::kOneShot);
  EXPECT_EQ(scheduleOf(8, kLarge), NcclSchedule::kTwoPhases);
  EXPECT_EQ(scheduleOf(1'000, kSmall), NcclSchedule::kTwoPhases) << "the votes of all would be many bytes";
  EXPECT_EQ(scheduleOf(8, kLarge, Algorithm::kOneShot), NcclSchedule::kOneShot);
  EXPECT_EQ(scheduleOf(8, kSmall, Algorithm::kDirect), NcclSchedule::kTwoPhases);
}

TEST(NcclLayoutTest, SlicesCoverAllWordsAndChunksAreEqual) {
  for (const int nranks : {3, 8}) {
    for (const unsigned nwords : {1U, 7U, 64U, 1'000U}) {
      const NcclLayout layout(votesOf(nranks, 2), nwords, {.algorithm = Algorithm::kDirect, .slice_bytes = 256});
      std::size_t end = 0;
      for (std::size_t i = 0; i < layout.nslices(); ++i) {
        const WordRange slice = layout.slice(i);
        EXPECT_EQ(slice.begin, end);
        EXPECT_EQ(slice.size, layout.countedWords(slice) * static_cast<std::size_t>(nranks));
        EXPECT_LE(layout.signsOffset(slice) + 2 * slice.size, layout.votesOffset());
        EXPECT_LE(layout.votesOffset() + layout.ninputs() * layout.countedWords(slice), layout.resultsOffset(i));
        end += slice.size;
      }
      EXPECT_GE(end, nwords);
      EXPECT_LT(end, nwords + static_cast<std::size_t>(nranks));
    }
  }
}

TEST(NcclLayoutTest, ResultsOfSlicesThatFollowEachOtherDoNotOverlap) {
  for (const std::size_t nwords : {std::size_t{100}, std::size_t{1'000}}) {
    const NcclLayout layout(votesOf(4), nwords, {.algorithm = Algorithm::kDirect, .slice_bytes = 256});
    EXPECT_TRUE(layout.overlaps());
    EXPECT_EQ(layout.nresults(), std::min(layout.nslices(), std::size_t{8})) << "their memory is bounded";
    for (std::size_t i = 1; i < layout.nresults(); ++i) {
      EXPECT_GE(layout.resultsOffset(i), layout.resultsOffset(i - 1) + layout.slice(i - 1).size);
    }
    EXPECT_GE(layout.countsOffset(), layout.resultsOffset(layout.nresults() - 1) + layout.slice(0).size);
    EXPECT_EQ(layout.resultsOffset(layout.nresults()), layout.resultsOffset(0));
  }
  EXPECT_FALSE(NcclLayout(votesOf(4), 10, {}).overlaps()) << "one slice";
  EXPECT_FALSE(NcclLayout(votesOf(1), 1'000, {.algorithm = {}, .slice_bytes = 256}).overlaps()) << "no messages";
}

TEST(NcclLayoutTest, WithoutWordsThereIsNoSlice) { EXPECT_EQ(NcclLayout(votesOf(4), 0, {}).nslices(), 0); }

}  // namespace
}  // namespace signccl
