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
  launch::Exchange alone;
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

TEST(MeanGroupTest, AWorkerThatLeavesHoldsNobodyUp) {
  launch::Exchange alone;
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
