// SPDX-License-Identifier: Apache-2.0
#include "kernels/word.h"

#include <bit>
#include <cstdint>

#include <gtest/gtest.h>

namespace signccl {
namespace {

TEST(WordTest, WordsForRoundsUp) {
  EXPECT_EQ(wordsFor(0), 0U);
  EXPECT_EQ(wordsFor(1), 1U);
  EXPECT_EQ(wordsFor(64), 1U);
  EXPECT_EQ(wordsFor(65), 2U);
  EXPECT_EQ(wordsFor(SIZE_MAX), (SIZE_MAX >> 6) + 1);
}

TEST(WordTest, PlanesForIsTheWidthOfTheLargestNumber) {
  for (uint64_t max_value = 0; max_value <= 200'000; ++max_value) {
    ASSERT_EQ(planesFor(max_value), std::bit_width(max_value)) << max_value;
  }
  EXPECT_EQ(planesFor(UINT64_MAX), 64);
}

}  // namespace
}  // namespace signccl
