// SPDX-License-Identifier: Apache-2.0
// Bits within the words of one lane: signs, votes and counts on their way to and from elements.
#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "kernels/lanes/host_group.h"
#include "kernels/lanes/lane_counts.h"
#include "kernels/lanes/lane_votes.h"

namespace signccl::lanes {
namespace {

using Group = HostGroup<DirectMemory>;

TEST(LaneBitsTest, TheBitsOfEightPlanesBecomeTheBytesOfElements) {
  std::mt19937 random(1);
  uint32_t planes[8];
  for (uint32_t& plane : planes) plane = static_cast<uint32_t>(random());
  uint32_t words[8];
  std::copy(planes, planes + 8, words);
  transposeBits<Group>(words);
  for (int e = 0; e < 32; ++e) {
    for (int j = 0; j < 8; ++j) {
      ASSERT_EQ(words[e % 8] >> (e / 8 * 8 + j) & 1, planes[j] >> e & 1) << "element " << e << ", plane " << j;
    }
  }
}

TEST(LaneBitsTest, PlanesThatAreNotThereAreNoBitsOfElements) {
  uint32_t words[8] = {0xFFFF'FFFF, 0x0F0F'0F0F, 0x8000'0001, 0, 0x1234'5678};
  uint32_t expected[8];
  std::copy(words, words + 8, expected);
  transposeBits<Group>(expected);
  transposeBits<Group, 5>(words);
  EXPECT_TRUE(std::equal(words, words + 8, expected));
}

TEST(LaneBitsTest, ACountHasTheBitsOfBothSetsOfPlanes) {
  LaneCounts<16> counts = {};
  counts.words[0][3] = 0x1122'3344;
  counts.words[1][3] = 0x5566'7788;
  EXPECT_EQ(counts.number<Group>(3), 0x8844U);
  EXPECT_EQ(counts.number<Group>(27), 0x5511U);
  EXPECT_EQ(counts.number<Group>(4), 0U);
  EXPECT_EQ(counts.number<Group>(11), 0x7733U);
}

/// Compares the rows of LaneVotes with the elements one by one.
template <typename Format, bool kZeros>
void expectRowsOfElements() {
  using Bits = typename Format::Bits;
  constexpr int kItemBits = LaneVotes<Format, kZeros>::kItemBits;
  std::mt19937 random(1);
  for (int round = 0; round < 100; ++round) {
    const auto positive = static_cast<uint32_t>(random());
    const auto nonnegative = static_cast<uint32_t>(random());
    const LaneVotes<Format, kZeros> votes(positive, nonnegative);
    for (int e = 0; e < 32; ++e) {
      const Quad quad = votes.template row<Group>(e / kItemBits);
      Bits element;
      __builtin_memcpy(&element,
                       reinterpret_cast<const char*>(&quad) + sizeof(Bits) * static_cast<size_t>(e % kItemBits),
                       sizeof(Bits));
      const bool is_zero = kZeros && (nonnegative >> e & 1) != 0;
      ASSERT_EQ(element, voteElement<Format>((positive >> e & 1) != 0, is_zero)) << "bit " << e;
    }
  }
}

TEST(LaneBitsTest, RowsOfVotesAreTheirElements) {
  expectRowsOfElements<Float32Format, false>();
  expectRowsOfElements<Float32Format, true>();
  expectRowsOfElements<Float64Format, false>();
  expectRowsOfElements<Float64Format, true>();
  expectRowsOfElements<Float16Format, false>();
  expectRowsOfElements<Float16Format, true>();
  expectRowsOfElements<BFloat16Format, false>();
  expectRowsOfElements<BFloat16Format, true>();
  expectRowsOfElements<Int8Format, false>();
  expectRowsOfElements<Int8Format, true>();
}

}  // namespace
}  // namespace signccl::lanes
