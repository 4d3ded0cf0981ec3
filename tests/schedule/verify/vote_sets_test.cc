// SPDX-License-Identifier: Apache-2.0
#include "schedule/verify/vote_sets.h"

#include <set>

#include <gtest/gtest.h>

namespace signccl {
namespace {

VoteSets::Id unite(VoteSets& sets, std::initializer_list<VoteSets::Id> ids) {
  for (const VoteSets::Id id : ids) EXPECT_EQ(sets.add(id), -1);
  return sets.take();
}

TEST(VoteSetsTest, AUnionHasTheSizeOfItsParts) {
  VoteSets sets(200);
  const VoteSets::Id low = unite(sets, {sets.of(0), sets.of(63), sets.of(64)});
  const VoteSets::Id high = unite(sets, {sets.of(199), sets.of(65)});
  EXPECT_EQ(sets.size(low), 3);
  EXPECT_EQ(sets.size(unite(sets, {low, high, VoteSets::kEmpty})), 5);
}

TEST(VoteSetsTest, AddNamesARankThatIsThereAlready) {
  VoteSets sets(200);
  VoteSets::Id interval = VoteSets::kEmpty;
  for (Rank rank = 60; rank <= 140; ++rank) interval = unite(sets, {interval, sets.of(rank)});
  EXPECT_EQ(sets.add(sets.of(128)), -1);
  EXPECT_EQ(sets.add(interval), 128);
}

TEST(VoteSetsTest, NothingUnitedIsTheEmptySet) {
  VoteSets sets(3);
  EXPECT_EQ(sets.take(), VoteSets::kEmpty);
  EXPECT_EQ(sets.size(VoteSets::kEmpty), 0);
}

TEST(VoteSetsTest, SetsAreEqualHoweverTheyWereMade) {
  VoteSets sets(300);
  VoteSets::Id ascending = VoteSets::kEmpty;
  VoteSets::Id descending = VoteSets::kEmpty;
  for (Rank i = 0; i < 100; ++i) {
    ascending = unite(sets, {ascending, sets.of(i * 2)});
    descending = unite(sets, {descending, sets.of((99 - i) * 2)});
  }
  EXPECT_TRUE(sets.equal(ascending, descending));
  EXPECT_FALSE(sets.equal(ascending, unite(sets, {descending, sets.of(1)})));
  EXPECT_FALSE(sets.equal(sets.of(1), sets.of(2)));
}

}  // namespace
}  // namespace signccl
