// SPDX-License-Identifier: Apache-2.0
#include "mean_group.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace digits {
namespace {

TEST(MeanGroupTest, GivesEveryWorkerTheMeanInEveryStep) {
  constexpr int kWorkers = 5;
  constexpr std::size_t kCount = 13;
  constexpr int kSteps = 50;
  launch::JobComm alone;
  MeanGroup group(kWorkers, kCount, alone);
  std::vector<int> wrong(kWorkers, 0);
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < kWorkers; ++rank) {
      threads.emplace_back([&, rank] {
        for (int step = 0; step < kSteps; ++step) {
          std::vector<float> values(kCount);
          for (std::size_t i = 0; i < kCount; ++i)
            values[i] = static_cast<float>(rank * 10 + step + static_cast<int>(i));
          group.average(rank, values);
          for (std::size_t i = 0; i < kCount; ++i) {
            const auto mean =
                static_cast<float>(20 + step + static_cast<int>(i));  // the mean of 0, 10, 20, 30, 40 is 20
            wrong[static_cast<std::size_t>(rank)] += values[i] == mean ? 0 : 1;
          }
        }
      });
    }
  }
  EXPECT_EQ(wrong, std::vector<int>(kWorkers, 0));
}

/// The means that workers get in a few steps, [worker][step * kCount + i], if they are spread over processes, which are
/// threads here.
std::vector<std::vector<float>> meansOver(int nprocesses) {
  constexpr int kWorkers = 6;
  constexpr std::size_t kCount = 29;
  constexpr int kSteps = 10;
  const signcclUniqueId id = launch::JobComm().shareUniqueId();
  const int nlocal = kWorkers / nprocesses;
  std::vector<std::vector<float>> means(kWorkers);
  const auto work = [&](int process) {
    launch::JobComm job({process, nprocesses, "test"}, id);
    MeanGroup group(nlocal, kCount, job);
    std::vector<std::jthread> workers;
    for (int rank = process * nlocal; rank < (process + 1) * nlocal; ++rank) {
      workers.emplace_back([&, rank] {
        for (int step = 0; step < kSteps; ++step) {
          std::vector<float> values(kCount);
          // No sum of these is exact, so that its order shows.
          for (std::size_t i = 0; i < kCount; ++i)
            values[i] = 1e3F / static_cast<float>((rank + 3) * (step + 7) + static_cast<int>(i));
          group.average(rank, values);
          auto& mine = means[static_cast<std::size_t>(rank)];
          mine.insert(mine.end(), values.begin(), values.end());
        }
      });
    }
  };
  std::vector<std::jthread> processes;
  for (int process = 0; process < nprocesses; ++process) processes.emplace_back(work, process);
  processes.clear();
  return means;
}

TEST(MeanGroupTest, ProcessesGiveTheBitsOfThreads) {
  const auto expected = meansOver(1);
  for (const int nprocesses : {2, 3, 6}) EXPECT_EQ(meansOver(nprocesses), expected) << nprocesses;
}

TEST(MeanGroupTest, AWorkerThatLeavesHoldsNobodyUp) {
  launch::JobComm alone;
  MeanGroup group(2, 1, alone);
  std::vector<float> value = {4};
  group.leave();
  group.average(1, value);
  EXPECT_EQ(value[0], 2.0F);  // worker 0 counts as if it had given 0
}

TEST(Fp32RingBytesTest, IsTwiceThePayloadLessTheOwnPart) {
  EXPECT_EQ(fp32RingBytes(1, 1000), 0);
  EXPECT_EQ(fp32RingBytes(2, 1000), 4000);
  EXPECT_EQ(fp32RingBytes(4, 1000), 6000);
}

}  // namespace
}  // namespace digits
