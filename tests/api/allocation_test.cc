// After warm-up a collective allocates nothing, in whatever form it is called. Counts calls of operator new in this
// process.
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include <gtest/gtest.h>

#include "ranks.h"

namespace {

std::atomic<long> allocations{0};

void* countedAllocation(std::size_t bytes, std::size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return countedAllocation(bytes, alignof(std::max_align_t)); }
void* operator new[](std::size_t bytes) { return countedAllocation(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return countedAllocation(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return countedAllocation(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace signccl::test {
namespace {

TEST(Allocation, IsCounted) {
  const long before = allocations.load();
  std::vector<int> something(1000);
  EXPECT_GT(allocations.load(), before);
  EXPECT_EQ(something.size(), 1000U);
}

/// Allocations of `calls` rounds of `round`, after a warm-up that was long enough for queues to find their size.
template <typename Round>
long allocationsAfterWarmUp(Round&& round) {
  for (int i = 0; i < 300; ++i) round();
  const long before = allocations.load();
  for (int i = 0; i < 100; ++i) round();
  return allocations.load() - before;
}

class AllocationOfCalls : public ::testing::TestWithParam<const char*> {};

TEST_P(AllocationOfCalls, IsNoneInOneThread) {
  const Environment environment{{"SIGNCCL_ALGO", GetParam()}, {"SIGNCCL_SLICE_BYTES", "1024"}};
  Ranks ranks(5);
  std::vector<std::vector<float>> data(5, std::vector<float>(70'000, 1.0F));
  for (const Op op : {Op::kVote, Op::kAvg}) {
    const Case tested{op};
    EXPECT_EQ(allocationsAfterWarmUp([&] {
                signcclGroupStart();
                for (int rank = 0; rank < 5; ++rank) {
                  std::vector<float>& mine = data[static_cast<std::size_t>(rank)];
                  call(tested, mine.data(), mine.data(), mine.size(), ranks[rank]);
                }
                EXPECT_EQ(signcclGroupEnd(), signcclSuccess);
              }),
              0);
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, AllocationOfCalls,
                         ::testing::Values("oneshot", "direct", "ring", "tree", "knomial", "hierarchical"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(Allocation, IsNoneForNonBlockingCallsWithKernelThreads) {
  const Environment environment{{"SIGNCCL_NTHREADS", "2"}};
  Ranks ranks(1);
  std::vector<float> data(500'000, 1.0F);
  EXPECT_EQ(allocationsAfterWarmUp([&] {
              signcclRequest_t request = nullptr;
              signcclAllReduceVoteAsync(data.data(), data.data(), data.size(), signcclFloat32, signcclFloat32, nullptr,
                                        ranks[0], nullptr, &request);
              EXPECT_EQ(signcclRequestWait(&request), signcclSuccess);
            }),
            0);
}

}  // namespace
}  // namespace signccl::test
