// SPDX-License-Identifier: Apache-2.0
#include "schedule/chunk.h"

#include <limits>

#include <gtest/gtest.h>

namespace signccl {
namespace {

TEST(ChunkTest, ChunksTileTheWordsAndDifferByAtMostOne) {
  for (std::size_t nwords = 0; nwords <= 70; ++nwords) {
    for (int nchunks = 1; nchunks <= 20; ++nchunks) {
      std::size_t next = 0;
      for (int chunk = 0; chunk < nchunks; ++chunk) {
        const WordRange range = chunkRange(nwords, nchunks, chunk);
        ASSERT_EQ(range.begin, next);
        ASSERT_GE(range.size, nwords / static_cast<std::size_t>(nchunks));
        ASSERT_LE(range.size, nwords / static_cast<std::size_t>(nchunks) + 1);
        next += range.size;
      }
      ASSERT_EQ(next, nwords);
    }
  }
}

TEST(ChunkTest, AChunkStartsAtTheFloorOfItsShare) {
  for (int chunk = 0; chunk < 7; ++chunk) {
    EXPECT_EQ(chunkRange(100, 7, chunk).begin, static_cast<std::size_t>(chunk) * 100 / 7);
  }
}

TEST(ChunkTest, ARunCoversItsChunks) {
  const WordRange run = chunkRange(100, 7, ChunkRun{2, 3});
  EXPECT_EQ(run.begin, chunkRange(100, 7, 2).begin);
  EXPECT_EQ(run.begin + run.size, chunkRange(100, 7, 5).begin);
}

TEST(ChunkTest, HugeVectorsDoNotOverflow) {
  constexpr std::size_t kHuge = std::numeric_limits<std::size_t>::max() / 2;
  constexpr int kChunks = 32767;
  const WordRange last = chunkRange(kHuge, kChunks, kChunks - 1);
  EXPECT_EQ(last.begin + last.size, kHuge);
  EXPECT_NEAR(static_cast<double>(last.size), static_cast<double>(kHuge) / kChunks, 2048.0);
}

}  // namespace
}  // namespace signccl
