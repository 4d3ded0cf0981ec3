// SPDX-License-Identifier: Apache-2.0
#include "base/joined.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace signccl {
namespace {

TEST(JoinedTest, SeparatorIsBetweenItemsAlone) {
  EXPECT_EQ(joined(std::vector<std::string>{}, ", "), "");
  EXPECT_EQ(joined(std::vector<std::string>{"ring"}, ", "), "ring");
  EXPECT_EQ(joined(std::vector<std::string>{"ring", "tree", "direct"}, ", "), "ring, tree, direct");
}

TEST(JoinedTest, EmptyItemsKeepTheirPlace) {
  EXPECT_EQ(joined(std::vector<std::string>{"", "tree", ""}, ","), ",tree,");
}

TEST(JoinedTest, ItemsAreWhatTheFunctionMakesOfThem) {
  EXPECT_EQ(joined(std::vector<int>{4, 16}, " or ", [](int item) { return std::to_string(item); }), "4 or 16");
}

}  // namespace
}  // namespace signccl
