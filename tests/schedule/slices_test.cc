// SPDX-License-Identifier: Apache-2.0
#include "schedule/slices.h"

#include <gtest/gtest.h>

namespace signccl {
namespace {

CountRules voteOf(int nranks) { return {SignOp::kVote, nranks, 1, false}; }

TEST(SlicesTest, VectorsAreCutIntoSlicesOfAtMostTheGivenWords) {
  EXPECT_EQ(sliceCount(0, 8, voteOf(4)), 1U);
  EXPECT_EQ(sliceCount(8, 8, voteOf(4)), 1U);
  EXPECT_EQ(sliceCount(9, 8, voteOf(4)), 2U);
  EXPECT_EQ(sliceCount(std::size_t{1} << 40, 8, voteOf(4)), std::size_t{1} << 37);
}

TEST(SlicesTest, VectorsOfSomeSizeAreCutIntoFourUnlessSlicesWouldBeTiny) {
  EXPECT_EQ(sliceCount(4095, 0, voteOf(4)), 1U);
  EXPECT_EQ(sliceCount(4096, 0, voteOf(4)), 1U);
  EXPECT_EQ(sliceCount(8'192, 0, voteOf(4)), 2U);
  EXPECT_EQ(sliceCount(16'384, 0, voteOf(4)), 4U);
}

TEST(SlicesTest, ManyRanksGetLargerSlicesByDefault) {
  EXPECT_EQ(defaultSliceWords(voteOf(2)), defaultSliceWords(voteOf(4)));
  EXPECT_EQ(defaultSliceWords(voteOf(8)), 2 * defaultSliceWords(voteOf(4)));
  EXPECT_EQ(defaultSliceWords(voteOf(32)), defaultSliceWords(voteOf(4096))) << "scratch memory has a limit";
  // Four slices for 64 ranks too, once their chunks have 4 KiB.
  EXPECT_EQ(sliceCount(32'768, 0, voteOf(64)), 1U);
  EXPECT_EQ(sliceCount(131'072, 0, voteOf(64)), 4U);
  EXPECT_EQ(sliceCount(32'768, 16'384, voteOf(64)), 2U) << "what the user says goes before";
}

TEST(SlicesTest, MessagesOfSeveralPlanesGetSmallerSlicesByDefault) {
  const std::size_t one_plane = defaultSliceWords(voteOf(4));
  EXPECT_EQ(defaultSliceWords({SignOp::kVote, 4, 2, false}), one_plane / 2) << "ternary signs";
  EXPECT_EQ(defaultSliceWords({SignOp::kVote, 4, 1, true}), one_plane / 2) << "zeros for ties";
  EXPECT_EQ(defaultSliceWords({SignOp::kAvg, 4, 1, false}), one_plane / 2);
  EXPECT_EQ(defaultSliceWords({SignOp::kAvg, 2, 1, false}), one_plane) << "its counts travel as one plane";
}

}  // namespace
}  // namespace signccl
