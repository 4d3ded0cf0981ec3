// SPDX-License-Identifier: Apache-2.0
#include "kernels/lanes/replay.h"

#include <vector>

#include <gtest/gtest.h>

#include "lanes_test_support.h"

namespace signccl {
namespace {

TEST(LanesCountReplayTest, EachLaunchCountsOneAndGivesTheNumberBefore) {
  for (const size_t nblocks : kLaunches) {
    uint32_t replays = ~uint32_t{0} - 1;
    for (const uint32_t number : {~uint32_t{0} - 1, ~uint32_t{0}, uint32_t{0}, uint32_t{1}}) {
      uint32_t given = 77;
      Word check = 0;
      launch<lanes::CountReplayBody>(CountReplayArguments{&replays, &given, 5, &check}, nblocks);
      EXPECT_EQ(given, number);
      EXPECT_NE(check, 0U);
      EXPECT_EQ(replays, number + 1);
    }
  }
}

TEST(LanesCountReplayTest, NobodyNeedTakeTheNumber) {
  uint32_t replays = 4;
  launch<lanes::CountReplayBody>(CountReplayArguments{&replays, nullptr, 0, nullptr}, 2);
  EXPECT_EQ(replays, 5U);
}

TEST(LanesCountReplayTest, ChecksDifferWhereTheCallOrTheReplayDoes) {
  const auto check_of = [](uint64_t call, uint32_t replays) {
    uint32_t number = 0;
    Word check = 0;
    launch<lanes::CountReplayBody>(CountReplayArguments{&replays, &number, call, &check}, 1);
    return check;
  };
  EXPECT_EQ(check_of(7, 3), check_of(7, 3));
  EXPECT_NE(check_of(7, 3), check_of(7, 4));
  EXPECT_NE(check_of(7, 3), check_of(1ULL << 40U, 3));
}

TEST(LanesCompareReplaysTest, OneCheckThatDiffersIsFound) {
  for (const uint32_t nranks : {1U, 2U, 33U}) {
    std::vector<Word> checks(nranks, 0x1234'5678'9ABC'DEF0);
    for (uint32_t odd = 0; odd <= nranks; ++odd) {  // nranks: none is odd
      std::vector<Word> given = checks;
      if (odd < nranks) given[odd] ^= Word{1} << 63U;
      uint32_t status = 0;
      launch<lanes::CompareReplaysBody>(CompareReplaysArguments{given.data(), nranks, &status}, 2);
      EXPECT_EQ(status, odd < nranks && nranks > 1 ? kReplaysDiffer : 0U) << odd << " of " << nranks;
    }
  }
}

}  // namespace
}  // namespace signccl
