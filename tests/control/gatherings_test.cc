// SPDX-License-Identifier: Apache-2.0
#include "control/gatherings.h"

#include <gtest/gtest.h>

namespace signccl {
namespace {

constexpr GatheringId kFirst{Gathering::kSplit, 1};
constexpr GatheringId kSecond{Gathering::kSplit, 2};

class GatheringsTest : public testing::Test {
 protected:
  GatheringsTest() { gatherings_.setRanks(3); }
  Gatherings gatherings_;
};

TEST_F(GatheringsTest, PartsComeInTheOrderOfTheRanksOnceAllAreThere) {
  EXPECT_FALSE(gatherings_.add(2, {kFirst, "c"}));
  EXPECT_FALSE(gatherings_.add(0, {kFirst, "first"}));
  EXPECT_FALSE(gatherings_.add(0, {kFirst, "a"})) << "a second part of a rank does not count as another rank's";
  const auto all = gatherings_.add(1, {kFirst, "b"});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->id, kFirst);
  EXPECT_EQ(all->parts, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(gatherings_.missing(kFirst).empty()) << "it is over";
}

TEST_F(GatheringsTest, GatheringsOfOtherNumbersAndPurposesDoNotMix) {
  gatherings_.add(0, {kFirst, ""});
  gatherings_.add(1, {kSecond, ""});
  gatherings_.add(2, {kAddressGathering, ""});
  EXPECT_EQ(gatherings_.missing(kFirst), (std::vector<Rank>{1, 2}));
  EXPECT_EQ(gatherings_.missing(kSecond), (std::vector<Rank>{0, 2}));
  EXPECT_EQ(gatherings_.missing(kAddressGathering), (std::vector<Rank>{0, 1}));
}

TEST_F(GatheringsTest, GatheringIsStuckIfARankLeftWithoutItsPart) {
  gatherings_.add(1, {kFirst, ""});
  gatherings_.add(0, {kFirst, ""});
  EXPECT_FALSE(gatherings_.findStuck({false, true, false})) << "rank 1 has given its part";
  const auto stuck = gatherings_.findStuck({false, true, true});
  ASSERT_TRUE(stuck);
  EXPECT_EQ(stuck->id, kFirst);
  EXPECT_EQ(stuck->rank, 2);
  EXPECT_EQ(stuck->waiting, 1);
}

}  // namespace
}  // namespace signccl
