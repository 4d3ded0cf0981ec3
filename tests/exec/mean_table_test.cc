// SPDX-License-Identifier: Apache-2.0
#include "exec/mean_table.h"

#include <algorithm>
#include <cfenv>
#include <cstring>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "support/float_format.h"
#include "support/sum_reference.h"

namespace signccl {
namespace {

constexpr ElementType kFloatTypes[] = {ElementType::kFloat16, ElementType::kBFloat16, ElementType::kFloat32,
                                       ElementType::kFloat64};

/// Entry `index`, sign-extended for integer types.
std::int64_t entryOf(const MeanTable& table, ElementType type, std::int64_t index) {
  const std::size_t width = elementBytes(type, 1);
  std::int64_t pattern = 0;
  std::memcpy(&pattern, static_cast<const std::byte*>(table.data()) + static_cast<std::size_t>(index) * width, width);
  if (type == ElementType::kInt8) return static_cast<std::int8_t>(pattern);
  if (type == ElementType::kInt16) return static_cast<std::int16_t>(pattern);
  return type == ElementType::kInt32 ? static_cast<std::int32_t>(pattern) : pattern;
}

/// Sum of signs with `count` votes. A binary sign is one vote, a ternary one two, of which zero casts one.
std::int64_t sumOf(const CountRules& rules, std::int64_t count) {
  return rules.votes_per_rank == 1 ? count - (rules.nranks - count) : count - rules.nranks;
}

void expectMeansRoundedOnce(const CountRules& rules, ElementType type) {
  const MeanTable table(type, rules);
  const FloatFormat format = formatOf(type);
  for (std::int64_t count = 0; count <= rules.totalVotes(); ++count) {
    const auto expected = static_cast<std::int64_t>(roundedQuotient(sumOf(rules, count), rules.nranks, format));
    ASSERT_EQ(entryOf(table, type, count), expected)
        << "count " << count << " of " << rules.nranks << " ranks with " << rules.votes_per_rank << " votes, type "
        << static_cast<int>(type);
  }
}

TEST(MeanTableTest, MeansAreRoundedOnceForEveryCountOfUpTo40Ranks) {
  for (int nranks = 1; nranks <= 40; ++nranks) {
    for (const int votes_per_rank : {1, 2}) {
      for (const ElementType type : kFloatTypes) expectMeansRoundedOnce({SignOp::kAvg, nranks, votes_per_rank}, type);
    }
  }
}

TEST(MeanTableTest, MeansOfManyRanksAreRoundedOnceDownToSubnormals) {
  // Means of more than 16,384 ranks include subnormal float16 numbers; the others are primes, which round worst.
  for (const int nranks : {127, 1021, 4093, 16384, 16385, 32749, kMaxRanks}) {
    for (const ElementType type : kFloatTypes) expectMeansRoundedOnce({SignOp::kAvg, nranks, 1}, type);
  }
  for (const ElementType type : kFloatTypes) expectMeansRoundedOnce({SignOp::kAvg, kMaxRanks, 2}, type);
}

TEST(MeanTableTest, IntegerTypesHoldTheSum) {
  for (const int nranks : {1, 2, 5, 127}) {
    for (const int votes_per_rank : {1, 2}) {
      const CountRules rules{SignOp::kAvg, nranks, votes_per_rank};
      for (const ElementType type : {ElementType::kInt8, ElementType::kInt16, ElementType::kInt32}) {
        const MeanTable table(type, rules);
        for (std::int64_t count = 0; count <= rules.totalVotes(); ++count) {
          ASSERT_EQ(entryOf(table, type, count), sumOf(rules, count));
        }
      }
    }
  }
  const CountRules most{SignOp::kAvg, kMaxRanks, 1};
  EXPECT_EQ(entryOf(MeanTable(ElementType::kInt16, most), ElementType::kInt16, 0), -kMaxRanks);
  EXPECT_EQ(entryOf(MeanTable(ElementType::kInt16, most), ElementType::kInt16, kMaxRanks), kMaxRanks);
}

TEST(MeanTableTest, SumsAreExactInEveryTypeUpToItsMostRanks) {
  for (const ElementType type : sumTypes()) {
    const auto most = static_cast<int>(std::min<std::int64_t>(mostExactRanks(type), kMaxRanks));
    for (const int nranks : {1, 2, 5, 127, 128, 256, 1021, 2048, kMaxRanks}) {
      if (nranks > most) continue;
      for (const int votes_per_rank : {1, 2}) {
        const CountRules rules{SignOp::kAvg, nranks, votes_per_rank};
        const MeanTable table(type, rules, CountMeaning::kSum);
        for (std::int64_t count = 0; count <= rules.totalVotes(); ++count) {
          std::byte expected[8] = {};
          putNumber(type, sumOf(rules, count), expected, 0);
          const std::size_t width = elementBytes(type, 1);
          const auto* const entry =
              static_cast<const std::byte*>(table.data()) + static_cast<std::size_t>(count) * width;
          ASSERT_EQ(std::memcmp(entry, expected, width), 0)
              << "count " << count << " of " << nranks << " ranks, type " << static_cast<int>(type);
        }
      }
    }
  }
}

TEST(MeanTableTest, MostExactRanksIsWhereTheNextSumIsLost) {
  EXPECT_EQ(mostExactRanks(ElementType::kInt8), 127);
  EXPECT_EQ(mostExactRanks(ElementType::kBFloat16), 256);
  EXPECT_EQ(mostExactRanks(ElementType::kFloat16), 2048);
  EXPECT_EQ(toBFloat16(257), toBFloat16(256));
  EXPECT_EQ(toFloat16(2049), toFloat16(2048));
  EXPECT_NE(toBFloat16(255), toBFloat16(256));
  EXPECT_NE(toFloat16(2047), toFloat16(2048));
}

TEST(MeanTableTest, EntriesThatNoCountReachesAreZero) {
  const CountRules rules{SignOp::kAvg, 5, 2};
  const MeanTable table(ElementType::kFloat32, rules);
  for (std::int64_t count = rules.totalVotes() + 1; count < std::int64_t{1} << fullPlanes(rules); ++count) {
    EXPECT_EQ(entryOf(table, ElementType::kFloat32, count), 0);
  }
}

TEST(MeanTableTest, MeansDoNotDependOnTheRoundingModeOfTheThread) {
  const CountRules rules{SignOp::kAvg, 37, 2};
  const int before = std::fegetround();
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(mode);
    for (const ElementType type : kFloatTypes) expectMeansRoundedOnce(rules, type);
    EXPECT_EQ(std::fegetround(), mode) << "the table changed the mode of the thread";
  }
  std::fesetround(before);
}

TEST(MeanTableTest, TableIsAlignedForTheKernels) {
  const MeanTable table(ElementType::kFloat16, {SignOp::kAvg, 3, 1});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(table.data()) % 64, 0U);
}

TEST(MeanTableTest, SmallFloatsRoundToNearestAndTiesToEven) {
  EXPECT_EQ(toFloat16(1.0), 0x3C00);
  EXPECT_EQ(toFloat16(-0.0), 0x8000);
  EXPECT_EQ(toFloat16(2047.0 / 2048), 0x3BFF);
  EXPECT_EQ(toFloat16(4095.0 / 4096), 0x3C00);
  EXPECT_EQ(toFloat16(4093.0 / 4096), 0x3BFE);
  EXPECT_EQ(toFloat16(0x1p-14), 0x0400);
  EXPECT_EQ(toFloat16(0x1.FFCp-15), 0x0400);  // the largest subnormal plus half a unit carries into the exponent
  EXPECT_EQ(toFloat16(0x1p-24), 0x0001);
  EXPECT_EQ(toFloat16(0x1p-25), 0x0000);
  EXPECT_EQ(toFloat16(0x1.000002p-25), 0x0001);
  EXPECT_EQ(toBFloat16(-1.0), 0xBF80);
  EXPECT_EQ(toBFloat16(511.0 / 512), 0x3F80);
  EXPECT_EQ(toBFloat16(509.0 / 512), 0x3F7E);
  EXPECT_EQ(toBFloat16(1.0 / 3), 0x3EAB);
}

}  // namespace
}  // namespace signccl
