// SPDX-License-Identifier: Apache-2.0
#include "lion/kept_signs.h"

#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace signccl {
namespace {

using Gaps = std::vector<std::pair<std::size_t, std::size_t>>;

Gaps gapsOf(const KeptSigns& kept, std::size_t begin, std::size_t end) {
  Gaps gaps;
  kept.forEachGap(begin, end, [&](std::size_t from, std::size_t to) { gaps.emplace_back(from, to); });
  return gaps;
}

std::vector<Word> wordsFrom(Word first, std::size_t n) {
  std::vector<Word> words;
  for (std::size_t i = 0; i < n; ++i) words.push_back(first + i);
  return words;
}

TEST(KeptSignsTest, GivesBackWhatItKeeps) {
  KeptSigns kept(200, /*is_ternary=*/true);
  const auto positive = wordsFrom(1'000, 100);
  const auto nonnegative = wordsFrom(2'000, 100);
  kept.keep(30, 100, positive.data(), nonnegative.data());
  std::vector<Word> p(40);
  std::vector<Word> n(40);
  kept.give(50, 40, p.data(), n.data());
  EXPECT_EQ(p, wordsFrom(1'020, 40));
  EXPECT_EQ(n, wordsFrom(2'020, 40));
}

TEST(KeptSignsTest, KeepsOnePlaneOfBinarySigns) {
  KeptSigns kept(10, /*is_ternary=*/false);
  const auto words = wordsFrom(5, 10);
  kept.keep(0, 10, nullptr, words.data());
  std::vector<Word> given(10);
  kept.give(0, 10, nullptr, given.data());
  EXPECT_EQ(given, words);
}

TEST(KeptSignsTest, KnowsWhichWordsAreMissing) {
  KeptSigns kept(300, /*is_ternary=*/false);
  EXPECT_EQ(gapsOf(kept, 0, 300), (Gaps{{0, 300}}));
  const auto words = wordsFrom(0, 300);
  kept.keep(60, 10, nullptr, words.data());
  kept.keep(128, 64, nullptr, words.data());
  kept.keep(70, 1, nullptr, words.data());
  EXPECT_EQ(gapsOf(kept, 0, 300), (Gaps{{0, 60}, {71, 128}, {192, 300}}));
  EXPECT_EQ(gapsOf(kept, 64, 130), (Gaps{{71, 128}}));
  EXPECT_EQ(gapsOf(kept, 60, 70), Gaps{});
  EXPECT_EQ(gapsOf(kept, 5, 5), Gaps{});
  kept.keep(0, 300, nullptr, words.data());
  EXPECT_EQ(gapsOf(kept, 0, 300), Gaps{});
  kept.clear();
  EXPECT_EQ(gapsOf(kept, 0, 300), (Gaps{{0, 300}}));
}

TEST(KeptSignsTest, RangesOfThreadsMayShareAMark) {
  constexpr std::size_t kWords = 10'000;
  KeptSigns kept(kWords, /*is_ternary=*/false);
  {
    std::vector<std::jthread> threads;
    for (std::size_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&kept, thread] {
        for (std::size_t word = thread; word < kWords; word += 4) {
          const Word mine = word;
          kept.keep(word, 1, nullptr, &mine);
        }
      });
    }
  }
  EXPECT_EQ(gapsOf(kept, 0, kWords), Gaps{});
  std::vector<Word> given(kWords);
  kept.give(0, kWords, nullptr, given.data());
  EXPECT_EQ(given, wordsFrom(0, kWords));
}

}  // namespace
}  // namespace signccl
