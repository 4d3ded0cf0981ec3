// SPDX-License-Identifier: Apache-2.0
// Which tiles a range of words has, against a search through all tiles.
#include "kernels/device/lion_tables.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "lion_list.h"

namespace signccl {
namespace {

/// Words [begin, end) of the step that a tile has.
struct TileWords {
  uint64_t begin;
  uint64_t end;
};

std::vector<TileWords> tilesOf(const std::vector<LionEntry>& tensors) {
  std::vector<TileWords> tiles;
  for (const LionEntry& tensor : tensors) {
    const uint64_t end = tensor.first_word + wordsFor(tensor.count);
    for (uint64_t word = tensor.first_word; word < end; word += 16) tiles.push_back({word, std::min(word + 16, end)});
  }
  return tiles;
}

class LionTablesTest : public ::testing::Test {
 protected:
  /// Tensors of a list that need no memory.
  std::vector<LionEntry> tensors(size_t n) {
    std::vector<ListedTensor> listed = variousTensors(n, countsAroundTiles(), 1, random_);
    for (ListedTensor& tensor : listed) tensor.words_before = random_() % 3 == 0 ? random_() % 20 : 0;
    TestBuffer nothing(0);
    return LionList(listed).entries(FloatType::kFloat32, nothing);
  }

  std::mt19937_64 random_{5};
};

TEST_F(LionTablesTest, TilesAreNumberedThrough) {
  const std::vector<LionEntry> list = tensors(200);
  std::vector<uint32_t> first_tile(list.size());
  EXPECT_EQ(layOutLionTiles(list, first_tile), tilesOf(list).size());
  const std::vector<TileWords> tiles = tilesOf(list);
  for (size_t t = 0; t < list.size(); ++t) {
    if (list[t].count == 0) continue;
    EXPECT_EQ(tiles[first_tile[t]].begin, list[t].first_word) << t;
  }
}

TEST_F(LionTablesTest, ARangeHasTheTilesThatHoldSomeOfItsWords) {
  const std::vector<LionEntry> list = tensors(12);
  std::vector<uint32_t> first_tile(list.size());
  layOutLionTiles(list, first_tile);
  const std::vector<TileWords> tiles = tilesOf(list);
  const uint64_t nwords = list.back().first_word + wordsFor(list.back().count);
  for (uint64_t begin = 0; begin <= nwords; ++begin) {
    for (uint64_t end = begin; end <= nwords; ++end) {
      const LionRange range = lionRangeOf(list, first_tile, begin, end);
      ASSERT_EQ(range.begin_word, begin);
      ASSERT_EQ(range.end_word, end);
      for (uint32_t tile = 0; tile < tiles.size(); ++tile) {
        const bool is_in_range = tile >= range.begin_tile && tile < range.end_tile;
        const bool has_words = std::max(tiles[tile].begin, begin) < std::min(tiles[tile].end, end);
        ASSERT_EQ(is_in_range, has_words) << "tile " << tile << ", words " << begin << " to " << end;
        if (!is_in_range) continue;
        const bool fits = tiles[tile].begin >= begin && tiles[tile].begin + lanes::kTileWords <= end;
        ASSERT_EQ(tiles[tile].begin - begin < range.nplaces, fits)
            << "tile " << tile << ", words " << begin << " to " << end;
      }
      ASSERT_LE(range.begin_tile, range.end_tile) << "words " << begin << " to " << end;
    }
  }
}

TEST_F(LionTablesTest, NoTensorsHaveNoTiles) {
  EXPECT_EQ(layOutLionTiles({}, {}), 0U);
  const LionRange range = lionRangeOf({}, {}, 0, 100);
  EXPECT_EQ(range.begin_tile, range.end_tile);
}

}  // namespace
}  // namespace signccl
