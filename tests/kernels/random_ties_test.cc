// SPDX-License-Identifier: Apache-2.0
// The tie rule `random`: its values can never change, and they are as fair and as independent as coins. The inputs are
// fixed, so these statistics are too: a threshold is 6 standard deviations or more of what coins would give.
#include "kernels/random_ties.h"

#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "kernels_test_support.h"

namespace signccl {
namespace {

using Words = std::vector<Word>;

/// The tie bits of words [first, first + nwords) of a call: votes on counts of 0 with a threshold of 1, all of them
/// tied.
Words tiesOf(const Kernels& kernels, uint64_t call, uint64_t first, size_t nwords) {
  Words ties(nwords);
  kernels.decide({nullptr, 0, 0}, 1, true, randomTies(call, first), nwords, ties.data(), nullptr);
  return ties;
}

Words tiesOf(uint64_t call, uint64_t first, size_t nwords) {
  return tiesOf(*selectKernels(nullptr), call, first, nwords);
}

/// Standard deviations by which the number of ones in `words` is off half of them.
double deviations(const Words& words) {
  int64_t ones = 0;
  for (const Word word : words) ones += std::popcount(word);
  const auto nbits = static_cast<double>(words.size() * kWordBits);
  return (static_cast<double>(ones) - nbits / 2) / std::sqrt(nbits / 4);
}

/// The words of `a` with those of `b`, turned by `bits`: ones where the tie bits differ.
Words differences(const Words& a, const Words& b, int bits) {
  Words words(a.size());
  for (size_t i = 0; i < a.size(); ++i) words[i] = a[i] ^ std::rotl(b[i], bits);
  return words;
}

class RandomTiesTest : public KernelsTest {};

TEST_P(RandomTiesTest, ValuesAreThoseOfTheDefinition) {
  // From a program in another language, written from docs/semantics.md.
  struct Golden {
    uint64_t call;
    uint64_t word;
    Word ties;
  };
  constexpr Golden kGolden[] = {
      {0, 0, 0xDDC674B689F3F0CE},
      {0, 1, 0xAA9D0D8EA75465E2},
      {1, 0, 0x9988D1EDB8BA268F},
      {1, 1, 0x6C76A78E58F4CF4B},
      {2, 0, 0xE465D599F3DF8225},
      {1'000'000'007, 5, 0x1122703B8FC81615},
      {uint64_t{1} << 40, (uint64_t{1} << 33) + 3, 0x28CB811EC5C66356},
      {~uint64_t{0}, ~uint64_t{0}, 0x73F49DE6B1CCFBE1},
  };
  for (const Golden& golden : kGolden) {
    EXPECT_EQ(tiesOf(kernels(), golden.call, golden.word, 1)[0], golden.ties) << golden.call << ", " << golden.word;
    EXPECT_EQ(tiesOf(reference(), golden.call, golden.word, 1)[0], golden.ties) << golden.call << ", " << golden.word;
  }
}

TEST_P(RandomTiesTest, TheBitsOfAWordDoNotDependOnWhereTheKernelBegins) {
  const Words whole = tiesOf(kernels(), 5, 1000, 100);
  for (size_t first = 0; first < 100; ++first) {
    for (size_t nwords = 0; nwords <= 100 - first; nwords += kCoarseGrid ? 7 : 1) {
      const auto begin = whole.begin() + static_cast<ptrdiff_t>(first);
      ASSERT_EQ(tiesOf(kernels(), 5, 1000 + first, nwords), Words(begin, begin + static_cast<ptrdiff_t>(nwords)));
    }
  }
}

SIGNCCL_FOR_ALL_KERNELS(RandomTiesTest);

constexpr size_t kSampleWords = kCoarseGrid ? 1 << 12 : 1 << 16;

TEST(RandomTiesStatisticsTest, HalfOfTheTiesOfACallArePositive) {
  for (const uint64_t call : {0U, 1U, 2U, 1000U, 123'456'789U}) {
    EXPECT_LT(std::abs(deviations(tiesOf(call, 0, kSampleWords))), 6) << "call " << call;
  }
}

TEST(RandomTiesStatisticsTest, EveryBitOfAWordIsFairOverWordsAndOverCalls) {
  const Words over_words = tiesOf(3, 0, kSampleWords);
  Words over_calls;
  for (uint64_t call = 0; call < kSampleWords; ++call) over_calls.push_back(tiesOf(call, 7, 1)[0]);
  for (const Words& words : {over_words, over_calls}) {
    std::array<int64_t, kWordBits> ones{};
    for (const Word word : words) {
      for (size_t bit = 0; bit < kWordBits; ++bit) ones[bit] += static_cast<int64_t>((word >> bit) & 1);
    }
    for (const int64_t n : ones) {
      const auto half = static_cast<double>(kSampleWords) / 2;
      EXPECT_LT(std::abs(static_cast<double>(n) - half), 6 * std::sqrt(half / 2));
    }
  }
}

/// How far apart two ties are: calls, words, and by how many bits one word is turned against the other.
struct Distance {
  uint64_t calls;
  uint64_t words;  ///< modulo 2^64, so that it may be negative
};
constexpr Distance kDistances[] = {
    {0, 1}, {0, 2}, {0, 3},  {0, 8},  {0, 64},      {1, 0}, {1, 1},   {1, ~uint64_t{0}}, {2, 0},       {2, 1},
    {3, 0}, {4, 4}, {18, 0}, {18, 1}, {1000, 1000}, {0, 0}, {0, 610}, {5, 10'946},       {0, 1 << 20}, {64, 64}};

TEST(RandomTiesStatisticsTest, TiesOfNeighboursAreIndependentOverWords) {
  for (const auto& [calls, words] : kDistances) {
    const Words here = tiesOf(7, 5'000'000, kSampleWords);
    const Words there = tiesOf(7 + calls, 5'000'000 + words, kSampleWords);
    for (int bits = calls == 0 && words == 0 ? 1 : 0; bits < 64; ++bits) {
      EXPECT_LT(std::abs(deviations(differences(here, there, bits))), 6)
          << calls << " calls, " << static_cast<int64_t>(words) << " words and " << bits << " bits apart";
    }
  }
}

TEST(RandomTiesStatisticsTest, TiesOfNeighboursAreIndependentOverCalls) {
  constexpr uint64_t kWord = 1000;
  constexpr size_t kCalls = 1 << 14;
  for (const auto& [calls, words] : kDistances) {
    Words here, there;
    for (uint64_t call = 0; call < kCalls; ++call) {
      here.push_back(tiesOf(call, kWord, 1)[0]);
      there.push_back(tiesOf(call + calls, kWord + words, 1)[0]);
    }
    for (int bits = calls == 0 && words == 0 ? 1 : 0; bits < 64; ++bits) {
      EXPECT_LT(std::abs(deviations(differences(here, there, bits))), 6)
          << calls << " calls, " << static_cast<int64_t>(words) << " words and " << bits << " bits apart";
    }
  }
}

TEST(RandomTiesStatisticsTest, CallsDoNotDifferInTheSameBitsAtNeighbouringWords) {
  // What two calls have in common must say nothing about the next word, nor about other bits of the same word.
  for (const uint64_t calls : {1U, 2U, 4U, 18U}) {
    const Words changes = differences(tiesOf(7, 0, kSampleWords), tiesOf(7 + calls, 0, kSampleWords), 0);
    for (const size_t words : {0U, 1U, 2U, 8U, 64U}) {
      const Words here(changes.begin(), changes.end() - 64);
      const Words there(changes.begin() + static_cast<ptrdiff_t>(words),
                        changes.end() - 64 + static_cast<ptrdiff_t>(words));
      for (int bits = words == 0 ? 1 : 0; bits < 64; ++bits) {
        EXPECT_LT(std::abs(deviations(differences(here, there, bits))), 6)
            << calls << " calls, " << words << " words and " << bits << " bits apart";
      }
    }
  }
}

}  // namespace
}  // namespace signccl
