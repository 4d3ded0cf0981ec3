// SPDX-License-Identifier: Apache-2.0
#include "comm/regroup.h"

#include <gtest/gtest.h>

namespace signccl {
namespace {

const std::vector<SplitRequest> kRequests = {{0, 1, 5, {}}, {1, 0, 0, {}}, {2, 1, -3, {}}, {3, 1, 5, {}}};

TEST(RegroupTest, RanksAreOrderedByKeyThenByRank) {
  EXPECT_EQ(ranksOfColor(1, kRequests), (std::vector<Rank>{2, 0, 3}));
  EXPECT_EQ(ranksOfColor(0, kRequests), (std::vector<Rank>{1}));
  EXPECT_EQ(ranksOfColor(9, kRequests), (std::vector<Rank>{}));
  EXPECT_EQ(newRankOf(3, ranksOfColor(1, kRequests)), 2);
}

TEST(RegroupTest, DifferentSettingsMatterWithinAColorAlone) {
  const SharedSettings ring = {{"SIGNCCL_ALGO", "ring"}};
  const SharedSettings tree = {{"SIGNCCL_ALGO", "tree"}};
  const auto failure = objectionTo({0, 1, 0, ring}, {2, 1, 0, tree});
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->message, "the ranks have different settings: SIGNCCL_ALGO is ring on rank 0 and tree on rank 2");
  EXPECT_FALSE(objectionTo({0, 1, 0, ring}, {2, 1, 0, ring}));
  EXPECT_FALSE(objectionTo({0, 1, 0, ring}, {2, 3, 0, tree}));
  EXPECT_FALSE(objectionTo({0, -1, 0, ring}, {2, -1, 0, tree})) << "no group comes of them";
}

}  // namespace
}  // namespace signccl
