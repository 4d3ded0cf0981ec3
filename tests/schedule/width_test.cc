// SPDX-License-Identifier: Apache-2.0
#include "schedule/width.h"

#include <algorithm>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"

namespace signccl {
namespace {

int compare(std::int64_t a, std::int64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

/// stored[k][t]: every number that may stand for the true count t of k ranks, after any order of merging in which any
/// of the partial counts were clamped as for a message. Also checks that clamped numbers fit their planes.
std::vector<std::vector<std::set<std::int64_t>>> everyWayToMerge(const CountRules& rules) {
  const auto nranks = static_cast<std::size_t>(rules.nranks);
  std::vector<std::vector<std::set<std::int64_t>>> stored(nranks + 1);
  for (std::size_t k = 1; k <= nranks; ++k) {
    const auto votes = k * static_cast<std::size_t>(rules.votes_per_rank);
    stored[k].resize(votes + 1);
    if (k == 1) {
      for (std::size_t t = 0; t <= votes; ++t) stored[1][t] = {static_cast<std::int64_t>(t)};
      continue;
    }
    const CountRange range = messageRange(rules, static_cast<int>(k));
    EXPECT_LT(range.high - range.low, std::int64_t{1} << range.planes);
    for (std::size_t a = 1; 2 * a <= k; ++a) {
      for (std::size_t ta = 0; ta < stored[a].size(); ++ta) {
        for (std::size_t tb = 0; tb < stored[k - a].size(); ++tb) {
          for (const std::int64_t x : stored[a][ta]) {
            for (const std::int64_t y : stored[k - a][tb]) {
              stored[k][ta + tb].insert(x + y);
              if (k < nranks) stored[k][ta + tb].insert(std::clamp(x + y, range.low, range.high));
            }
          }
        }
      }
    }
  }
  return stored;
}

class ClampingTest : public ::testing::TestWithParam<int> {};

TEST_P(ClampingTest, EveryOrderOfMergingClampedCountsGivesTheExactVote) {
  for (int nranks = 2; nranks <= 20; ++nranks) {
    const CountRules rules{SignOp::kVote, nranks, GetParam(), false};
    const auto stored = everyWayToMerge(rules).back();
    for (std::size_t count = 0; count < stored.size(); ++count) {
      const int truth = compare(2 * static_cast<std::int64_t>(count), rules.totalVotes());
      for (const std::int64_t number : stored[count]) {
        ASSERT_EQ(compare(2 * number, rules.totalVotes()), truth) << nranks << " ranks, count " << count;
      }
    }
  }
}

TEST_P(ClampingTest, CountersOfAnAvgAreNeverClamped) {
  for (int nranks = 2; nranks <= 12; ++nranks) {
    const auto stored = everyWayToMerge({SignOp::kAvg, nranks, GetParam(), false}).back();
    for (std::size_t count = 0; count < stored.size(); ++count) {
      ASSERT_EQ(stored[count], std::set{static_cast<std::int64_t>(count)});
    }
  }
}

TEST_P(ClampingTest, ARangeNarrowerThanMessageRangeLosesVotes) {
  // Shows that the test above can fail: with the upper bound one lower, a won vote looks like a tie or a loss.
  const int nranks = 9;
  const CountRules rules{SignOp::kVote, nranks, GetParam(), false};
  const int held = 6;
  const CountRange range = messageRange(rules, held);
  EXPECT_EQ(compare(2 * range.high, rules.totalVotes()), 1);
  EXPECT_NE(compare(2 * (range.high - 1), rules.totalVotes()), 1);
  const std::int64_t rest = rules.totalVotes() - std::int64_t{held} * rules.votes_per_rank;
  EXPECT_EQ(compare(2 * (range.low + rest), rules.totalVotes()), -1);
  EXPECT_NE(compare(2 * (range.low + 1 + rest), rules.totalVotes()), -1);
}

INSTANTIATE_TEST_SUITE_P(VotesPerRank, ClampingTest, ::testing::Values(1, 2));

TEST(WidthTest, ClampingNarrowsTheSecondHalfOfTheVotes) {
  const CountRules vote{SignOp::kVote, 64, 1, false};
  const CountRules avg{SignOp::kAvg, 64, 1, false};
  const int ranks[] = {2, 3, 4, 7, 8, 31, 32, 48, 56, 60, 62, 63};
  const int vote_planes[] = {2, 2, 3, 3, 4, 5, 6, 5, 4, 3, 3, 2};
  const int avg_planes[] = {2, 2, 3, 3, 4, 5, 6, 6, 6, 6, 6, 6};
  for (std::size_t i = 0; i < std::size(ranks); ++i) {
    EXPECT_EQ(messagePlanes(vote, ranks[i]), vote_planes[i]) << ranks[i];
    EXPECT_EQ(messagePlanes(avg, ranks[i]), avg_planes[i]) << ranks[i];
  }
}

TEST(WidthTest, AMessageOfOneRankIsItsSigns) {
  for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
    EXPECT_EQ(messagePlanes({op, 7, 1, false}, 1), 1);
    EXPECT_EQ(messagePlanes({op, 7, 2, false}, 1), 2);
  }
}

TEST(WidthTest, AVoteComesBackInOnePlaneOrTwoWithZeros) {
  EXPECT_EQ(messagePlanes({SignOp::kVote, 8, 1, false}, 8), 1);
  EXPECT_EQ(messagePlanes({SignOp::kVote, 8, 1, true}, 8), 2);
}

TEST(WidthTest, AnAvgComesBackModuloTheCountsThatTheOwnVoteLeavesOpen) {
  const int nranks[] = {2, 3, 4, 5, 8, 9, 16, 17, 64, 65, 512};
  const int binary[] = {1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 9};    // ceil(log2 N)
  const int ternary[] = {2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 10};  // ceil(log2(2 N - 1))
  for (std::size_t i = 0; i < std::size(nranks); ++i) {
    EXPECT_EQ(resultPlanes({SignOp::kAvg, nranks[i], 1, false}), binary[i]) << nranks[i];
    EXPECT_EQ(resultPlanes({SignOp::kAvg, nranks[i], 2, false}), ternary[i]) << nranks[i];
  }
}

TEST(WidthTest, TheOwnVotesTellCountsOfTheSameResidueApart) {
  for (int nranks = 2; nranks <= 70; ++nranks) {
    for (const int votes_per_rank : {1, 2}) {
      const CountRules rules{SignOp::kAvg, nranks, votes_per_rank, false};
      const int modulus = 1 << resultPlanes(rules);
      for (int own = 0; own <= votes_per_rank; ++own) {
        std::set<int> residues;
        for (int others = 0; others <= (nranks - 1) * votes_per_rank; ++others) {
          EXPECT_TRUE(residues.insert((own + others) % modulus).second) << nranks << " ranks";
        }
      }
    }
  }
}

TEST(WidthTest, AnAvgOfOneRankAloneIsItsCompleteCount) {
  EXPECT_EQ(resultPlanes({SignOp::kAvg, 1, 1, false}), 1);
  EXPECT_EQ(resultPlanes({SignOp::kAvg, 1, 2, false}), 2);
}

TEST(WidthTest, CompleteCountsHoldAllVotes) {
  EXPECT_EQ(fullPlanes({SignOp::kVote, 7, 1, false}), 3);
  EXPECT_EQ(fullPlanes({SignOp::kVote, 8, 1, false}), 4);
  EXPECT_EQ(fullPlanes({SignOp::kAvg, 8, 2, false}), 5);
  EXPECT_EQ(fullPlanes({SignOp::kAvg, kMaxRanks, 2, false}), 16);
}

TEST(WidthTest, VotesOfNobodyOrOfMoreThanAllAreRejected) {
  EXPECT_THROW(messageRange({SignOp::kVote, 4, 1, false}, 0), Error);
  EXPECT_THROW(messageRange({SignOp::kVote, 4, 1, false}, 5), Error);
}

}  // namespace
}  // namespace signccl
