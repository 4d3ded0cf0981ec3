// SPDX-License-Identifier: Apache-2.0
#include "exec/station_runner.h"

#include <atomic>
#include <chrono>
#include <new>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "exec/layout.h"
#include "schedule/algorithm.h"

namespace signccl {
namespace {

using std::chrono::steady_clock;

std::atomic<int> encoded = 0;
std::atomic<bool> is_failing = false;

/// Counts the words that it is asked to encode.
constexpr SourceKind kCountingSource = {
    .encode =
        [](const Source&, const Kernels&, std::size_t, std::size_t count, Word*, Word*) {
          if (is_failing) throw std::bad_alloc();
          encoded += static_cast<int>(count / kWordBits);
        },
    .bytesTouched = [](const Source&, std::size_t) { return std::size_t{0}; },
    .memory = [](const Source&) { return UserMemory{}; },
    .signature = [](const Source&) { return EndSignature{}; },
};

/// An exchange of one rank in `nslices` slices, and their memory.
class Work {
 public:
  Work(std::size_t nslices, std::size_t slice_words) : memory_(nslices) {
    batch_.rules = plan_.rules;
    batch_.add({.source = {&kCountingSource, nullptr, ElementType::kInt8},
                .sink = elementSink(ElementType::kInt8, nullptr),
                .count = nslices * slice_words * kWordBits});
    context_.kernels = selectKernels(nullptr);
    context_.plan = &plan_;
    context_.batch = &batch_;
    context_.layout = &layout_;
    context_.nslices = nslices;
    layout_.build(plan_, slice_words);
    for (std::size_t i = 0; i < nslices; ++i) {
      memory_[i].resize(layout_.totalWords());
      const WordRange range = context_.sliceRange(i);
      slices_.push_back({i, range.begin, range.size, memory_[i].data(), {}});
    }
  }

  void post(StationRunner& runner) const {
    for (const Slice& slice : slices_) runner.post({&context_, &slice, slice.number, kEncodeStation});
  }
  [[nodiscard]] std::size_t size() const { return slices_.size(); }

 private:
  Plan plan_ = compilePlan(buildSchedule(Algorithm::kDirect, 0, Topology::singleNode(1)), {SignOp::kVote, 1});
  Batch batch_;
  Layout layout_;
  StationContext context_;
  std::vector<std::vector<Word>> memory_;
  std::vector<Slice> slices_;
};

/// Polls until `expected` pieces are done, for a minute at most.
std::vector<StationWork> pollAll(StationRunner& runner, std::size_t expected) {
  std::vector<StationWork> done;
  const auto deadline = steady_clock::now() + std::chrono::minutes(1);
  while (done.size() < expected && steady_clock::now() < deadline) {
    if (!runner.poll(done)) std::this_thread::yield();
  }
  return done;
}

class StationRunnerTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    encoded = 0;
    is_failing = false;
  }
  [[nodiscard]] std::unique_ptr<StationRunner> makeRunner() {
    return makeStationRunner(GetParam(), [this] { ++wakes_; }, nullptr);
  }
  std::atomic<int> wakes_ = 0;
};

TEST_P(StationRunnerTest, RunsEveryPieceOnce) {
  for (const std::size_t slice_words : {1U, 2'000U}) {
    encoded = 0;
    const Work work(20, slice_words);
    const auto runner = makeRunner();
    work.post(*runner);
    const std::vector<StationWork> done = pollAll(*runner, work.size());
    EXPECT_EQ(done.size(), work.size());
    EXPECT_EQ(encoded, static_cast<int>(20 * slice_words));
    std::vector<StationWork> more;
    EXPECT_FALSE(runner->poll(more));
  }
}

TEST_P(StationRunnerTest, TellsThePosterWhatAStationThrew) {
  is_failing = true;
  const Work work(1, 2'000);
  const auto runner = makeRunner();
  work.post(*runner);
  EXPECT_THROW(pollAll(*runner, 1), std::bad_alloc);
}

TEST_P(StationRunnerTest, NothingRunsAfterADrain) {
  for (const std::size_t slice_words : {1U, 2'000U}) {
    const Work work(20, slice_words);
    const auto runner = makeRunner();
    work.post(*runner);
    runner->drain();
    const int before = encoded;
    std::vector<StationWork> done;
    EXPECT_FALSE(runner->poll(done));
    EXPECT_EQ(encoded, before);
  }
}

TEST_P(StationRunnerTest, WakesTheDriverForWorkOfOtherThreadsAlone) {
  const Work small(5, 1);
  const auto runner = makeRunner();
  small.post(*runner);
  pollAll(*runner, small.size());
  EXPECT_EQ(wakes_, 0) << "small pieces run in the driving thread";
  const Work large(5, 2'000);
  large.post(*runner);
  pollAll(*runner, large.size());
  runner->drain();
  EXPECT_EQ(wakes_ > 0, GetParam() > 1);
}

INSTANTIATE_TEST_SUITE_P(Threads, StationRunnerTest, ::testing::Values(1, 2, 4));

}  // namespace
}  // namespace signccl
