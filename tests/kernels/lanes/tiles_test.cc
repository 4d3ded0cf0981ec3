// SPDX-License-Identifier: Apache-2.0
#include "kernels/lanes/tiles.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

#include "kernels/lanes/host_group.h"

namespace signccl::lanes {
namespace {

using Group = HostGroup<DirectMemory>;
using Values = Group::PerLane<uint32_t>;

Values randomWords() {
  std::mt19937 random(1);
  Values words;
  for (uint32_t& word : words.values) word = static_cast<uint32_t>(random());
  return words;
}

template <int kItemBits>
void expectItemsChangePlacesWithLanes() {
  constexpr int kRows = 32 / kItemBits;
  const Values before = randomWords();
  Values after = before;
  transposeItems<Group, kItemBits>(after);
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int bit = 0; bit < 32; ++bit) {
      const int first_lane = lane / kRows * kRows;
      const int source_lane = first_lane + bit / kItemBits;
      const int source_bit = lane % kRows * kItemBits + bit % kItemBits;
      ASSERT_EQ(after[lane] >> bit & 1, before[source_lane] >> source_bit & 1)
          << "items of " << kItemBits << " bits, lane " << lane << ", bit " << bit;
    }
  }
  transposeItems<Group, kItemBits>(after);
  for (int lane = 0; lane < kLanes; ++lane) EXPECT_EQ(after[lane], before[lane]) << "there and back, lane " << lane;
}

TEST(TilesTest, ATranspositionExchangesTheItemsOfNeighbouringLanes) {
  expectItemsChangePlacesWithLanes<1>();
  expectItemsChangePlacesWithLanes<2>();
  expectItemsChangePlacesWithLanes<4>();
  expectItemsChangePlacesWithLanes<8>();
  expectItemsChangePlacesWithLanes<16>();
}

/// A lane reads E elements of each row; after the transposition it has 32 consecutive ones.
template <int kItemBits>
void expectWholeSignWords() {
  constexpr int kRows = 32 / kItemBits;
  for (int element = 0; element < static_cast<int>(kTileElements); ++element) {
    Values words = {};
    const int in_row = element % (kLanes * kItemBits);
    const int row = element / (kLanes * kItemBits);
    words[in_row / kItemBits] = uint32_t{1} << (row * kItemBits + in_row % kItemBits);
    transposeItems<Group, kItemBits>(words);
    for (int lane = 0; lane < kLanes; ++lane) {
      const bool is_there = wordOfLane<kItemBits>(lane) == element / 32;
      ASSERT_EQ(laneOfWord<kItemBits>(wordOfLane<kItemBits>(lane)), lane);
      ASSERT_EQ(words[lane], is_there ? uint32_t{1} << element % 32 : 0)
          << kRows << " rows, element " << element << ", lane " << lane;
    }
  }
}

TEST(TilesTest, EveryElementComesToItsBitOfItsSignWord) {
  expectWholeSignWords<1>();
  expectWholeSignWords<2>();
  expectWholeSignWords<4>();
  expectWholeSignWords<8>();
  expectWholeSignWords<16>();
}

TEST(TilesTest, TilesCoverAllElementsOnce) {
  EXPECT_EQ(tilesFor(0), 0U);
  EXPECT_EQ(tilesFor(1), 1U);
  EXPECT_EQ(tilesFor(1024), 1U);
  EXPECT_EQ(tilesFor(1025), 2U);
  EXPECT_EQ(elementsOfTile(0, 1), 1U);
  EXPECT_EQ(elementsOfTile(0, 1025), 1024U);
  EXPECT_EQ(elementsOfTile(1, 1025), 1U);
  EXPECT_EQ(elementsOfTile(4'194'304, size_t{1} << 32 | 5), 5U);
}

TEST(TilesTest, EveryTileBelongsToOneWarpOfALaunch) {
  constexpr size_t kFirst = 3;
  constexpr size_t kLast = 100;
  for (const size_t nblocks : {1U, 2U, 40U}) {
    std::multiset<size_t> seen;
    for (size_t block = 0; block < nblocks; ++block) {
      for (size_t warp = 0; warp < kBlockWarps; ++warp) {
        forEachTile(warpIndex(block, nblocks, warp), kFirst, kLast, [&](size_t tile) { seen.insert(tile); });
      }
    }
    EXPECT_EQ(seen.size(), kLast - kFirst);
    for (size_t tile = kFirst; tile < kLast; ++tile) EXPECT_EQ(seen.count(tile), 1U) << nblocks << " blocks";
  }
}

}  // namespace
}  // namespace signccl::lanes
