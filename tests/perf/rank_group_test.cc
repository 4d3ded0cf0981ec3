// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/rank_group.h"

#include <functional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace signccl::perf {
namespace {

void runRanks(int nranks, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  threads.reserve(static_cast<std::size_t>(nranks));
  for (int rank = 0; rank < nranks; ++rank) threads.emplace_back(body, rank);
  for (std::thread& thread : threads) thread.join();
}

TEST(RankGroupTest, ABarrierShowsWhatAllRanksWroteBefore) {
  constexpr int kRanks = 4;
  constexpr int kRounds = 200;
  RankGroup group(kRanks);
  std::vector<int> round_of(kRanks, -1);
  std::atomic<int> late = 0;
  runRanks(kRanks, [&](int rank) {
    for (int round = 0; round < kRounds; ++round) {
      round_of[static_cast<std::size_t>(rank)] = round;
      group.barrier();
      for (const int other : round_of) late += other != round ? 1 : 0;
      group.barrier();
    }
  });
  EXPECT_EQ(late.load(), 0);
}

TEST(RankGroupTest, TheLastRankDoesWhatAllSee) {
  constexpr int kRanks = 3;
  RankGroup group(kRanks);
  int ncalls = 0;
  std::atomic<int> wrong = 0;
  runRanks(kRanks, [&](int) {
    for (int round = 1; round <= 100; ++round) {
      group.barrier([&] { ++ncalls; });
      wrong += ncalls != round ? 1 : 0;
      group.barrier();
    }
  });
  EXPECT_EQ(wrong.load(), 0);
}

TEST(RankGroupTest, AnAbortReleasesRanksThatWait) {
  RankGroup group(3);
  std::atomic<int> released = 0;
  runRanks(3, [&](int rank) {
    if (rank == 2) return group.abort();
    try {
      group.barrier();
    } catch (const GroupBroken&) {
      ++released;
    }
  });
  EXPECT_EQ(released.load(), 2);
}

TEST(RankGroupTest, ABrokenBarrierStaysBroken) {
  RankGroup group(1);
  group.abort();
  EXPECT_THROW(group.barrier(), GroupBroken);
  EXPECT_THROW(group.barrier(), GroupBroken);
}

}  // namespace
}  // namespace signccl::perf
