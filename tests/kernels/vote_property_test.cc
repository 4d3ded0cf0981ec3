// SPDX-License-Identifier: Apache-2.0
// The kernels together: from elements to votes and means, against plain integer arithmetic.
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "kernels_test_support.h"
#include "test_buffer.h"

namespace signccl {
namespace {

constexpr size_t kCount = 1001;
constexpr size_t kWords = (kCount + kWordBits - 1) / kWordBits;
constexpr int kRanks[] = {1, 2, 3, 4, 5, 8, 17, 33, 64};

class VotePropertyTest : public KernelsTest {
 protected:
  /// Elements of every rank, many of them zero, their sum per element, and their sign planes: two per rank.
  struct Ranks {
    std::vector<std::vector<int8_t>> elements;
    std::vector<int> sums = std::vector<int>(kCount);
    TestPlanes signs;
    std::vector<const Word*> positive_and_nonnegative;
    std::vector<const Word*> nonnegative;
  };

  Ranks makeRanks(int nranks, bool zeros) {
    Ranks ranks{
        .elements = {}, .signs = TestPlanes(2 * nranks, kWords), .positive_and_nonnegative = {}, .nonnegative = {}};
    for (int r = 0; r < nranks; ++r) {
      std::vector<int8_t> elements(kCount);
      for (size_t e = 0; e < kCount; ++e) {
        const int sign = zeros ? static_cast<int>(random()() % 3) - 1 : static_cast<int>(random()() % 2) * 2 - 1;
        elements[e] = static_cast<int8_t>(sign * 5);
        ranks.sums[e] += sign;
      }
      Word* positive = ranks.signs.plane(2 * r);
      Word* nonnegative = ranks.signs.plane(2 * r + 1);
      kernels().encodeTernary(ElementType::kInt8, elements.data(), kCount, positive, nonnegative);
      ranks.positive_and_nonnegative.insert(ranks.positive_and_nonnegative.end(), {positive, nonnegative});
      ranks.nonnegative.push_back(nonnegative);
      ranks.elements.push_back(elements);
    }
    return ranks;
  }

  TestPlanes countOf(const std::vector<const Word*>& inputs) {
    TestPlanes counts(planesFor(inputs.size()), kWords);
    kernels().count(inputs.data(), static_cast<int>(inputs.size()), kWords, counts.planes());
    return counts;
  }
};

TEST_P(VotePropertyTest, TernaryVotesAreTheSignOfTheSum) {
  for (const int nranks : kRanks) {
    const Ranks ranks = makeRanks(nranks, true);
    const TestPlanes counts = countOf(ranks.positive_and_nonnegative);
    TestPlanes vote(2, kWords);
    kernels().decide(counts.view(), static_cast<uint64_t>(nranks) + 1, true, sameTies(0), kWords, vote.plane(0),
                     vote.plane(1));
    std::vector<int8_t> result(kCount);
    kernels().decodeVote(ElementType::kInt8, vote.plane(0), vote.plane(1), kCount, result.data(), Store::kCached);
    for (size_t e = 0; e < kCount; ++e) {
      const int sum = ranks.sums[e];
      ASSERT_EQ(result[e], (sum > 0) - (sum < 0)) << nranks << " ranks, element " << e;
    }
  }
}

TEST_P(VotePropertyTest, BinaryVotesAreTheSignOfTheSumAndTiesFollowTheirBits) {
  constexpr Word kEvenElements = 0x5555555555555555;
  for (const int nranks : kRanks) {
    const Ranks ranks = makeRanks(nranks, false);
    const TestPlanes counts = countOf(ranks.nonnegative);
    const auto threshold = static_cast<uint64_t>(nranks) / 2 + 1;
    std::vector<Word> vote(kWords);
    kernels().decide(counts.view(), threshold, nranks % 2 == 0, sameTies(kEvenElements), kWords, vote.data(), nullptr);
    for (size_t e = 0; e < kCount; ++e) {
      const int sum = ranks.sums[e];
      const bool expected = sum != 0 ? sum > 0 : e % 2 == 0;
      ASSERT_EQ((vote[e / kWordBits] >> (e % kWordBits)) & 1, expected ? 1U : 0U) << nranks << " ranks, element " << e;
    }
  }
}

TEST_P(VotePropertyTest, MergedCountsAreTheCountOfAll) {
  for (const int nranks : kRanks) {
    const Ranks ranks = makeRanks(nranks, true);
    const auto& inputs = ranks.positive_and_nonnegative;
    const auto middle = inputs.begin() + nranks / 2;
    const TestPlanes first = countOf({inputs.begin(), middle});
    const TestPlanes second = countOf({middle, inputs.end()});
    TestPlanes merged(planesFor(inputs.size()), kWords);
    kernels().merge(first.view(), second.view(), kWords, merged.planes());
    EXPECT_TRUE(merged == countOf(inputs)) << nranks << " ranks";
  }
}

TEST_P(VotePropertyTest, TheTopPlaneIsRestoredFromTheOwnVote) {
  for (const int nranks : kRanks) {
    for (const bool ternary : {false, true}) {
      const Ranks ranks = makeRanks(nranks, ternary);
      const TestPlanes full = countOf(ternary ? ranks.positive_and_nonnegative : ranks.nonnegative);
      // The other votes of all ranks but one fit these planes: nranks - 1, or 2 (nranks - 1).
      const int low = planesFor(static_cast<uint64_t>(nranks - 1) * (ternary ? 2 : 1));
      if (ternary && low == 0) continue;
      std::vector<Word> top(kWords);
      const int own = nranks / 2;
      kernels().restoreTop(full.view(low), ternary ? ranks.signs.plane(2 * own) : nullptr,
                           ranks.signs.plane(2 * own + 1), kWords, top.data());
      for (size_t e = 0; e < kCount; ++e) {
        const uint64_t expected = (full.number(e) >> low) & 1;
        ASSERT_EQ((top[e / kWordBits] >> (e % kWordBits)) & 1, expected) << nranks << " ranks, element " << e;
      }
    }
  }
}

TEST_P(VotePropertyTest, MeansAreTheSumOverTheRanks) {
  for (const int nranks : kRanks) {
    const Ranks ranks = makeRanks(nranks, true);
    const TestPlanes counts = countOf(ranks.positive_and_nonnegative);
    const int nplanes = planesFor(ranks.positive_and_nonnegative.size());
    alignas(64) float table[256] = {};
    for (int c = 0; c <= 2 * nranks; ++c) table[c] = static_cast<float>(c - nranks) / static_cast<float>(nranks);
    std::vector<float> means(kCount);
    kernels().decodeAvg(ElementType::kFloat32, counts.view(nplanes), table, kCount, means.data(), Store::kStreaming);
    for (size_t e = 0; e < kCount; ++e) {
      ASSERT_EQ(means[e], static_cast<float>(ranks.sums[e]) / static_cast<float>(nranks)) << "element " << e;
    }
    if ((nranks & (nranks - 1)) != 0) continue;
    for (int rank = 0; rank < nranks; ++rank) {
      std::vector<float> completed(kCount);
      const Counts lacking(counts.view(nplanes - 1), ranks.signs.plane(2 * rank));
      kernels().decodeAvg(ElementType::kFloat32, lacking, table, kCount, completed.data(), Store::kStreaming);
      ASSERT_EQ(completed, means) << nranks << " ranks, completed by rank " << rank;
    }
  }
}

SIGNCCL_FOR_ALL_KERNELS(VotePropertyTest);

}  // namespace
}  // namespace signccl
