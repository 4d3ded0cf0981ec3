// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/plan.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sign_all_reduce_perf/buffers.h"
#include "sign_all_reduce_perf/element_types.h"

namespace signccl::perf {
namespace {

std::vector<std::size_t> timedCounts(const Options& options) {
  std::vector<std::size_t> counts;
  const std::vector<Sweep> sweeps = planSweeps(options);
  for (const Case& c : sweeps.front().timed) counts.push_back(c.count);
  return counts;
}

Options sizes(std::size_t min_bytes, std::size_t max_bytes) {
  Options options;
  options.min_bytes = min_bytes;
  options.max_bytes = max_bytes;
  return options;
}

TEST(PlanTest, SizesGrowByAFactor) {
  Options options = sizes(8, 70);
  options.step_factor = 2;
  EXPECT_THAT(timedCounts(options), testing::ElementsAre(2, 4, 8, 16));
}

TEST(PlanTest, SizesGrowByAStep) {
  Options options = sizes(0, 25);
  options.step_bytes = 12;
  EXPECT_THAT(timedCounts(options), testing::ElementsAre(0, 3, 6));
}

TEST(PlanTest, AHugeFactorEndsTheSweep) {
  Options options = sizes(1 << 20, std::size_t{1} << 49);
  options.step_factor = 1 << 20;
  EXPECT_THAT(timedCounts(options), testing::SizeIs(2));
}

TEST(PlanTest, EveryTypeIsCombinedWithEveryOperation) {
  Options options = sizes(64, 64);
  options.ops = {SignOp::kVote, SignOp::kAvg};
  options.sendtypes.assign(sendTypes().begin(), sendTypes().end());
  std::set<std::pair<int, SignOp>> seen;
  for (const Sweep& sweep : planSweeps(options)) {
    for (const Case& c : sweep.timed) seen.insert({c.sendtype, c.op});
  }
  EXPECT_EQ(seen.size(), 12U);
}

TEST(PlanTest, SumsLeaveTypesOutThatHoldNone) {
  Options options = sizes(64, 64);
  options.ops = {SignOp::kSum};
  options.sendtypes.assign(sendTypes().begin(), sendTypes().end());
  const auto types = [&](int nranks) {
    options.nranks = nranks;
    std::set<int> seen;
    for (const Sweep& sweep : planSweeps(options)) seen.insert(sweep.timed.front().sendtype);
    return seen;
  };
  EXPECT_EQ(types(4), (std::set<int>{signcclFloat32, signcclFloat16, signcclBfloat16, signcclFloat64, signcclInt8}));
  EXPECT_EQ(types(300), (std::set<int>{signcclFloat32, signcclFloat16, signcclFloat64}));
}

TEST(PlanTest, GroupedAndQueuedCallsHaveSlotsOfTheirOwn) {
  Options options = sizes(1000, 1000);
  options.agg_iters = 3;
  EXPECT_EQ(callsInFlight(options), 3U);
  options.agg_iters = 1;
  options.form = CallForm::kAsync;
  EXPECT_EQ(callsInFlight(options), 2U);
}

TEST(PlanTest, SlotsDoNotOverlapAndLieWithinTheBuffers) {
  Options options = sizes(100, 1000);
  options.step_bytes = 300;
  options.sendtypes = {signcclBits, signcclFloat64};
  options.ops = {SignOp::kAvg};
  const auto sweeps = planSweeps(options);
  const BufferSizes buffer_sizes = bufferSizes(sweeps, 3);
  const Buffers buffers(buffer_sizes);
  for (const Sweep& sweep : sweeps) {
    for (const Case& c : sweep.timed) {
      ASSERT_GE(buffers.slots(c), 3U);
      const std::size_t last = buffers.slots(c) - 1;
      const std::byte* first_output = buffers.output(c, 0);
      EXPECT_GE(buffers.output(c, 1) - first_output, static_cast<std::ptrdiff_t>(bufferBytes(c.recvtype, c.count)));
      EXPECT_GE(buffers.output(c, 1) - first_output, static_cast<std::ptrdiff_t>(bufferBytes(c.sendtype, c.count)));
      EXPECT_LE(static_cast<std::size_t>(buffers.output(c, last) - first_output) + bufferBytes(c.recvtype, c.count),
                buffer_sizes.recv_bytes);
      const std::byte* first_input = buffers.input(c, InPlace::kNo, 0);
      EXPECT_LE(static_cast<std::size_t>(buffers.input(c, InPlace::kNo, last) - first_input) +
                    bufferBytes(c.sendtype, c.count),
                buffer_sizes.send_bytes);
      EXPECT_EQ(buffers.input(c, InPlace::kYes, 1), buffers.output(c, 1));
      EXPECT_EQ(buffers.output(c, last + 1), first_output);
    }
  }
}

TEST(PlanTest, TheLargestSizeIsCutToMemory) {
  Options options = sizes(1 << 10, 1 << 30);
  fitIntoMemory(options, options.nranks, 64 << 20);
  EXPECT_LT(options.max_bytes, std::size_t{1} << 30);
  // Two ranks with a send and a receive buffer each.
  EXPECT_NEAR(static_cast<double>(options.max_bytes), 16 << 20, 64);
}

TEST(PlanTest, SizesThatFitAreLeftAlone) {
  Options options = sizes(1 << 10, 1 << 20);
  fitIntoMemory(options, options.nranks, 64 << 20);
  EXPECT_EQ(options.max_bytes, std::size_t{1} << 20);
}

TEST(PlanTest, ASmallestSizeThatDoesNotFitIsRefused) {
  Options options = sizes(1 << 30, 1 << 30);
  EXPECT_THROW(fitIntoMemory(options, options.nranks, 64 << 20), OptionError);
}

}  // namespace
}  // namespace signccl::perf
