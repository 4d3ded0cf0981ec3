// SPDX-License-Identifier: Apache-2.0
#include "host/core_share.h"

#include <sched.h>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace signccl {
namespace {

using std::string_literals::operator""s;

TEST(CoreShareTest, RanksOfOneMaskShareItsCores) {
  const std::vector<CoresOfRank> ranks(4, {"m", "\x0f"});
  EXPECT_EQ(coreShare(ranks, 2), (CoreShare{4, 4}));
}

TEST(CoreShareTest, RanksThatAreBoundApartShareNothing) {
  const std::vector<CoresOfRank> ranks = {{"m", "\x01"}, {"m", "\x02"}, {"m", "\x0c"}, {"m", "\x0c"}};
  EXPECT_EQ(coreShare(ranks, 0), (CoreShare{1, 1}));
  EXPECT_EQ(coreShare(ranks, 3), (CoreShare{2, 2}));
}

TEST(CoreShareTest, MasksOfDifferentLengthOverlapWhereBothSayYes) {
  const std::string ninth = "\0\x01"s;
  const std::vector<CoresOfRank> ranks = {{"m", "\x01"}, {"m", ninth}, {"m", "\x81\x01"}};
  EXPECT_EQ(coreShare(ranks, 0), (CoreShare{2, 1}));
  EXPECT_EQ(coreShare(ranks, 1), (CoreShare{2, 1}));
  EXPECT_EQ(coreShare(ranks, 2), (CoreShare{3, 3}));
}

TEST(CoreShareTest, CoresOfOtherMachinesAreOthers) {
  const std::vector<CoresOfRank> ranks = {{"a", "\x03"}, {"b", "\x03"}};
  EXPECT_EQ(coreShare(ranks, 0), (CoreShare{1, 2}));
}

TEST(CoreShareTest, ARankThatDoesNotSayMayBeAnywhereOnItsMachine) {
  const std::vector<CoresOfRank> ranks = {{"m", ""}, {"m", "\x01"}, {"m", "\x02"}};
  EXPECT_EQ(coreShare(ranks, 0), (CoreShare{3, 1}));
  EXPECT_EQ(coreShare(ranks, 1), (CoreShare{2, 1}));
}

TEST(CoreShareTest, RanksOfOneControlGroupShareItsQuota) {
  const std::string many(8, '\xff');
  const CpuQuota four{4000, 17};
  const std::vector<CoresOfRank> ranks = {{"m", many, four}, {"m", many, four}, {"m", many, {2500, 18}}, {"m", many}};
  EXPECT_EQ(coreShare(ranks, 0), (CoreShare{2, 4}));
  EXPECT_EQ(coreShare(ranks, 2), (CoreShare{1, 2}));
  EXPECT_EQ(coreShare(ranks, 3), (CoreShare{4, 64}));
}

TEST(CoreShareTest, QuotaOfMoreThanTheCoresDoesNotMatter) {
  const std::vector<CoresOfRank> ranks(2, {"m", "\x03", {8000, 17}});
  EXPECT_EQ(coreShare(ranks, 0), (CoreShare{2, 2}));
}

TEST(CoreShareTest, QuotaOfLessThanACoreIsOne) {
  const std::vector<CoresOfRank> ranks(2, {"m", "\x03", {500, 17}});
  EXPECT_EQ(coreShare(ranks, 1), (CoreShare{2, 1}));
  EXPECT_FALSE(coreShare(ranks, 1).hasOwnCore());
}

TEST(CoreShareTest, ControlGroupsOfOtherMachinesAreOthers) {
  const std::string many(2, '\xff');
  const std::vector<CoresOfRank> ranks = {{"a", many, {4000, 1}}, {"b", many, {4000, 1}}};
  EXPECT_EQ(coreShare(ranks, 0), (CoreShare{1, 4}));
}

TEST(CoreShareTest, MostRanksPerCoreIsThatOfTheMostCrowdedMachine) {
  const CoresOfRank roomy{"b", "\x0f"};
  EXPECT_DOUBLE_EQ(mostRanksPerCore({{"a", "\x03"}, roomy, {"a", "\x03"}, roomy}), 1);
  EXPECT_DOUBLE_EQ(mostRanksPerCore({{"a", "\x03"}, roomy, {"a", "\x03"}, roomy, {"a", "\x03"}}), 1.5);
  EXPECT_DOUBLE_EQ(mostRanksPerCore({roomy}), 1);
}

TEST(CoreShareTest, TellsThreadsAndCrowding) {
  EXPECT_EQ((CoreShare{4, 16}).threadsPerRank(), 4);
  EXPECT_EQ((CoreShare{4, 2}).threadsPerRank(), 1);
  EXPECT_TRUE((CoreShare{2, 2}).hasOwnCore());
  EXPECT_FALSE((CoreShare{3, 2}).hasOwnCore());
  EXPECT_TRUE((CoreShare{1, 2}).hasCoreForSecondThread());
  EXPECT_FALSE((CoreShare{1, 1}).hasCoreForSecondThread());
  EXPECT_FALSE((CoreShare{2, 3}).hasCoreForSecondThread());
  EXPECT_DOUBLE_EQ((CoreShare{4, 2}).ranksPerCore(), 2);
  EXPECT_DOUBLE_EQ((CoreShare{1, 2}).ranksPerCore(), 1);
}

TEST(CoreShareTest, UsableCoresAreThoseThatTheThreadIsBoundTo) {
  const std::string all = usableCores();
  ASSERT_FALSE(all.empty());
  EXPECT_NE(all.back(), '\0');
  // The last core that this process may use, in a thread of its own, since the binding stays.
  const auto last = static_cast<unsigned char>(all.back());
  unsigned bit = 7;
  while ((last >> bit) == 0) --bit;
  std::string bound;
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((all.size() - 1) * 8 + bit, &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0) bound = usableCores();
  }).join();
  std::string expected(all.size(), '\0');
  expected.back() = static_cast<char>(1U << bit);
  EXPECT_EQ(bound, expected);
}

}  // namespace
}  // namespace signccl
