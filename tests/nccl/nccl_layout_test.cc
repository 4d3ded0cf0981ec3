// SPDX-License-Identifier: Apache-2.0
// How exchanges over NCCL are cut.
#include "nccl/nccl_layout.h"

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
        EXPECT_LE(layout.votesOffset() + layout.ninputs() * layout.countedWords(slice), layout.resultsOffset());
        end += slice.size;
      }
      EXPECT_GE(end, nwords);
      EXPECT_LT(end, nwords + static_cast<std::size_t>(nranks));
    }
  }
}

TEST(NcclLayoutTest, WithoutWordsThereIsNoSlice) { EXPECT_EQ(NcclLayout(votesOf(4), 0, {}).nslices(), 0); }

}  // namespace
}  // namespace signccl
