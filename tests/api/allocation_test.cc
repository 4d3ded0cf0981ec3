// SPDX-License-Identifier: Apache-2.0
// After warm-up a collective allocates nothing, in whatever form it is called. Counts calls of operator new in this
// process.
#include <vector>

#include <gtest/gtest.h>

#include "lion_job.h"
#include "ranks.h"
#include "support/allocation_counter.h"

namespace signccl {
namespace {

TEST(Allocation, IsCounted) {
  const std::size_t before = allocationCount();
  void* something = ::operator new(1000);  // a compiler may leave out a container that nobody needs
  EXPECT_GT(allocationCount(), before);
  ::operator delete(something);
}

/// Allocations of 100 rounds of `round`, after a warm-up that was long enough for queues to find their size.
template <typename Round>
std::size_t allocationsAfterWarmUp(Round&& round, int warm_up_rounds = 300) {
  for (int i = 0; i < warm_up_rounds; ++i) round();
  const std::size_t before = allocationCount();
  for (int i = 0; i < 100; ++i) round();
  return allocationCount() - before;
}

class AllocationOfCalls : public ::testing::TestWithParam<const char*> {};

TEST_P(AllocationOfCalls, IsNoneInOneThread) {
  const Environment environment{{"SIGNCCL_ALGO", GetParam()}, {"SIGNCCL_SLICE_BYTES", "1024"}};
  Ranks ranks(5);
  std::vector<std::vector<float>> data(5, std::vector<float>(70'000, 1.0F));
  for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
    const Case tested{op};
    EXPECT_EQ(allocationsAfterWarmUp([&] {
                signcclGroupStart();
                for (int rank = 0; rank < 5; ++rank) {
                  std::vector<float>& mine = data[static_cast<std::size_t>(rank)];
                  call(tested, mine.data(), mine.data(), mine.size(), ranks[rank]);
                }
                EXPECT_EQ(signcclGroupEnd(), signcclSuccess);
              }),
              0U);
  }
}

TEST_P(AllocationOfCalls, IsNoneForSumsThatAreWrittenOrRefused) {
  const Environment environment{{"SIGNCCL_ALGO", GetParam()}, {"SIGNCCL_SLICE_BYTES", "1024"}};
  Ranks ranks(5);
  std::vector<float> signs(70'000, 1.0F);
  std::vector<float> spoiled = signs;
  spoiled.back() = 2.0F;
  std::vector<std::vector<float>> sums(5, std::vector<float>(70'000));
  std::vector<signcclSumOutcome_t> outcomes(5, SIGNCCL_SUM_OUTCOME_INITIALIZER);
  for (const std::vector<float>& last : {signs, spoiled}) {
    EXPECT_EQ(allocationsAfterWarmUp([&] {
                signcclGroupStart();
                for (std::size_t rank = 0; rank < 5; ++rank) {
                  const std::vector<float>& mine = rank == 4 ? last : signs;
                  signcclAllReduceSum(mine.data(), sums[rank].data(), mine.size(), signcclFloat32, nullptr,
                                      ranks[static_cast<int>(rank)], nullptr, &outcomes[rank]);
                }
                EXPECT_EQ(signcclGroupEnd(), signcclSuccess);
              }),
              0U);
    EXPECT_EQ(outcomes[0].isWritten, last.back() == 1.0F ? 1 : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, AllocationOfCalls,
                         ::testing::Values("oneshot", "direct", "ring", "tree", "knomial", "hierarchical"),
                         [](const auto& instance) { return std::string(instance.param); });

/// In the background chance says how many buckets wait in the queue, and which of its entries has had which.
constexpr int kManyRounds = 5'000;

TEST(Allocation, IsNoneForLionSteps) {
  const Environment environment{{"SIGNCCL_SLICE_BYTES", "1024"}, {"SIGNCCL_NTHREADS", "1"}};
  Ranks ranks(1);
  const LionReference reference({{7'000}, {100}, {3'000, FloatType::kBFloat16}}, 1, {}, 1);
  const auto lion = reference.makeRank(0, ranks[0]);
  lion->setGradients(reference.gradientsOf(0));
  const LionHyperparameters hyperparameters({{0.1, 0.9, 0.99, 0}});
  signcclLionStepConfig_t config = hyperparameters.config();
  for (const int in_background : {0, 1}) {
    config.background = in_background;
    EXPECT_EQ(allocationsAfterWarmUp(
                  [&] {
                    EXPECT_EQ(signcclLionBegin(lion->lion(), &config), signcclSuccess);
                    for (std::size_t i = 0; i < 3; ++i) signcclLionSubmit(lion->lion(), i, 1, lion->gradients() + i);
                    int done = 0;
                    EXPECT_EQ(signcclLionFinish(lion->lion(), -1, &done, nullptr), signcclSuccess);
                  },
                  kManyRounds),
              0U);
  }
}

/// Each kernel thread keeps the list of votes that it counts, and chance says which thread counts when: the warm-up has
/// to be long enough for all of them to have counted.
TEST(Allocation, IsNoneForNonBlockingCallsWithKernelThreads) {
  const Environment environment{{"SIGNCCL_NTHREADS", "2"}};
  Ranks ranks(1);
  std::vector<float> data(500'000, 1.0F);
  const auto round = [&] {
    signcclRequest_t request = nullptr;
    signcclAllReduceVoteAsync(data.data(), data.data(), data.size(), signcclFloat32, signcclFloat32, nullptr, ranks[0],
                              nullptr, &request);
    EXPECT_EQ(signcclRequestWait(&request), signcclSuccess);
  };
  EXPECT_EQ(allocationsAfterWarmUp(round, kManyRounds), 0U);
}

}  // namespace
}  // namespace signccl
