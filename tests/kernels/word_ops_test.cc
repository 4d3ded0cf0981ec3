// SPDX-License-Identifier: Apache-2.0
#include "kernels/word_ops.h"

#include <cstdint>
#include <random>

#include <gtest/gtest.h>

namespace signccl {
namespace {

int bitOf(uint64_t word, int e) { return static_cast<int>((word >> e) & 1); }

TEST(WordOpsTest, AddersGiveSumAndCarryOfEveryCombination) {
  // Element e holds the three bits of the number e.
  const uint64_t a = 0b10101010, b = 0b11001100, c = 0b11110000;
  uint64_t full_sum = 0, full_carry = 0, half_sum = 0, half_carry = 0;
  fullAdd(a, b, c, full_sum, full_carry);
  halfAdd(a, b, half_sum, half_carry);
  for (int e = 0; e < 8; ++e) {
    EXPECT_EQ(bitOf(full_sum, e) + 2 * bitOf(full_carry, e), bitOf(a, e) + bitOf(b, e) + bitOf(c, e)) << e;
    EXPECT_EQ(bitOf(half_sum, e) + 2 * bitOf(half_carry, e), bitOf(a, e) + bitOf(b, e)) << e;
  }
}

template <int kVotes>
void expectSumOfVotes(std::mt19937_64& random) {
  uint64_t votes[kVotes + 1];
  for (uint64_t& vote : votes) vote = random();
  uint64_t planes[8] = {};
  sumVotes<kVotes>(ArrayVotes<uint64_t>{votes}, planes);
  for (int e = 0; e < 64; ++e) {
    int expected = 0;
    for (int k = 0; k < kVotes; ++k) expected += bitOf(votes[k], e);
    int sum = 0;
    for (int j = 0; j < 8; ++j) sum += bitOf(planes[j], e) << j;
    EXPECT_EQ(sum, expected) << kVotes << " votes, element " << e;
  }
  if constexpr (kVotes > 0) expectSumOfVotes<kVotes - 1>(random);
}

TEST(WordOpsTest, TheTreeCountsEveryVote) {
  std::mt19937_64 random(1);
  expectSumOfVotes<40>(random);
}

TEST(WordOpsTest, AddedVotesAndTheirCarryKeepTheCount) {
  std::mt19937_64 random(2);
  uint64_t votes[16];
  uint64_t planes[5] = {random(), random(), random(), random(), random()};
  uint64_t before[5];
  for (int j = 0; j < 5; ++j) before[j] = planes[j] &= j == 4 ? 0 : ~uint64_t{0};
  for (uint64_t& vote : votes) vote = random();
  const uint64_t carry = addVotes<16>(ArrayVotes<uint64_t>{votes}, planes);
  addCarry(carry, planes + 4, 1);
  for (int e = 0; e < 64; ++e) {
    int expected = 0, sum = 0;
    for (const uint64_t vote : votes) expected += bitOf(vote, e);
    for (int j = 0; j < 5; ++j) {
      expected += bitOf(before[j], e) << j;
      sum += bitOf(planes[j], e) << j;
    }
    EXPECT_EQ(sum, expected) << "element " << e;
  }
}

TEST(WordOpsTest, CompareStepsGiveAtLeast) {
  for (unsigned constant = 0; constant < 8; ++constant) {
    const uint64_t planes[] = {0b10101010, 0b11001100, 0b11110000};
    uint64_t at_least = ~uint64_t{0};
    for (unsigned j = 0; j < 3; ++j) at_least = compareStep(at_least, planes[j], ((constant >> j) & 1) != 0);
    for (int e = 0; e < 8; ++e) EXPECT_EQ(bitOf(at_least, e), e >= static_cast<int>(constant) ? 1 : 0) << constant;
  }
}

}  // namespace
}  // namespace signccl
