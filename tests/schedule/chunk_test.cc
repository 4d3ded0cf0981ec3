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

TEST(ChunkTest, WordsForRoundsUp) {
  EXPECT_EQ(wordsFor(0), 0U);
  EXPECT_EQ(wordsFor(1), 1U);
  EXPECT_EQ(wordsFor(64), 1U);
  EXPECT_EQ(wordsFor(65), 2U);
  EXPECT_EQ(wordsFor(std::numeric_limits<std::size_t>::max()), (std::numeric_limits<std::size_t>::max() >> 6) + 1);
}

TEST(SliceTest, VectorsAreCutIntoSlicesOfAtMostTheGivenWords) {
  EXPECT_EQ(sliceCount(0, 8, 4), 1U);
  EXPECT_EQ(sliceCount(8, 8, 4), 1U);
  EXPECT_EQ(sliceCount(9, 8, 4), 2U);
  EXPECT_EQ(sliceCount(std::size_t{1} << 40, 8, 4), std::size_t{1} << 37);
}

TEST(SliceTest, VectorsOfSomeSizeAreCutIntoFourUnlessSlicesWouldBeTiny) {
  EXPECT_EQ(sliceCount(4095, 0, 4), 1U);
  EXPECT_EQ(sliceCount(8'192, 0, 4), 2U);
  EXPECT_EQ(sliceCount(16'384, 0, 4), 4U);
}

TEST(SliceTest, ManyRanksGetLargerSlicesByDefault) {
  EXPECT_EQ(defaultSliceWords(2), defaultSliceWords(4));
  EXPECT_EQ(defaultSliceWords(8), 2 * defaultSliceWords(4));
  EXPECT_EQ(defaultSliceWords(32), defaultSliceWords(4096)) << "scratch memory has a limit";
  // Four slices for 64 ranks too, once their chunks have 4 KiB.
  EXPECT_EQ(sliceCount(32'768, 0, 64), 1U);
  EXPECT_EQ(sliceCount(131'072, 0, 64), 4U);
  EXPECT_EQ(sliceCount(32'768, 16'384, 64), 2U) << "what the user says goes before";
}

}  // namespace
}  // namespace signccl
