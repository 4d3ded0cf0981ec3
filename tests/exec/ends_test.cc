// SPDX-License-Identifier: Apache-2.0
// Sources and sinks: those of elements, and a second pair, an optimizer step in miniature, that the library knows
// nothing of.
#include "exec/ends.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "exec/batch.h"
#include "exec/host_engine.h"
#include "schedule/algorithm.h"
#include "transport/loopback.h"

namespace signccl {
namespace {

/// The data of one rank: its gradient is added to its momentum, whose sign is voted on, and the vote moves the
/// parameters by one half.
struct Step {
  std::vector<std::int8_t> gradient;
  std::vector<std::int8_t> momentum;
  std::vector<double> parameters;
};

void encodeStep(const Source& source, const Kernels& kernels, std::size_t first, std::size_t count, Word* positive,
                Word* nonnegative) {
  auto& step = *static_cast<Step*>(const_cast<void*>(source.object));
  std::int8_t* const momentum = step.momentum.data() + first;
  for (std::size_t i = 0; i < count; ++i)
    momentum[i] = static_cast<std::int8_t>(momentum[i] + step.gradient[first + i]);
  if (positive == nullptr) {
    kernels.encodeBinary(ElementType::kInt8, momentum, count, nonnegative);
  } else {
    kernels.encodeTernary(ElementType::kInt8, momentum, count, positive, nonnegative);
  }
}

void moveBy(const Sink& sink, std::size_t first, const std::vector<float>& directions) {
  double* const parameters = static_cast<Step*>(sink.object)->parameters.data() + first;
  for (std::size_t i = 0; i < directions.size(); ++i) parameters[i] -= 0.5 * static_cast<double>(directions[i]);
}

constexpr SourceKind kStepSource = {
    .encode = encodeStep,
    .bytesTouched = [](const Source&, std::size_t count) { return 3 * count; },
    .memory = [](const Source&) { return UserMemory{}; },
    .signature = [](const Source&) { return EndSignature{1001, "step"}; },
};

constexpr SinkKind kStepSink = {
    .decodeVote =
        [](const Sink& sink, const Kernels& kernels, const Word* positive, const Word* nonnegative, std::size_t first,
           std::size_t count, Store store) {
          std::vector<float> directions(count);
          kernels.decodeVote(ElementType::kFloat32, positive, nonnegative, count, directions.data(), store);
          moveBy(sink, first, directions);
        },
    .decodeAvg =
        [](const Sink& sink, const Kernels& kernels, Counts counts, const void* means, std::size_t first,
           std::size_t count, Store store) {
          std::vector<float> directions(count);
          kernels.decodeAvg(ElementType::kFloat32, counts, means, count, directions.data(), store);
          moveBy(sink, first, directions);
        },
    .meanType = [](const Sink&) { return ElementType::kFloat32; },
    .bytesTouched = [](const Sink&, std::size_t count) { return 16 * count; },
    .memory = [](const Sink&) { return UserMemory{}; },
    .signature = [](const Sink&) { return EndSignature{1002, "step"}; },
};

constexpr int kRanks = 3;
constexpr std::size_t kCount = 5'001;

Step stepOf(Rank rank) {
  Step step;
  for (std::size_t i = 0; i < kCount; ++i) {
    step.gradient.push_back(static_cast<std::int8_t>((i * 7 + static_cast<std::size_t>(rank) * 5) % 11) - 5);
    step.momentum.push_back(static_cast<std::int8_t>((i * 3 + static_cast<std::size_t>(rank)) % 5) - 2);
    step.parameters.push_back(static_cast<double>(i));
  }
  return step;
}

/// What the parameters are after the step, element by element.
std::vector<double> expectedParameters(SignOp op, bool is_ternary) {
  std::vector<Step> steps;
  for (Rank rank = 0; rank < kRanks; ++rank) steps.push_back(stepOf(rank));
  std::vector<double> expected(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    int sum = 0;
    for (const Step& step : steps) {
      const int value = step.momentum[i] + step.gradient[i];
      sum += value > 0 ? 1 : value < 0 ? -1 : is_ternary ? 0 : 1;
    }
    const float mean = static_cast<float>(static_cast<double>(sum) / kRanks);
    const float vote = sum > 0 ? 1.0F : sum < 0 ? -1.0F : 0.0F;
    expected[i] = static_cast<double>(i) - 0.5 * static_cast<double>(op == SignOp::kVote ? vote : mean);
  }
  return expected;
}

/// Runs one exchange of all ranks in this thread; elements of another call travel beside the step.
void exchange(Algorithm algorithm, SignOp op, bool is_ternary, std::vector<Step>& steps) {
  const Topology topology = Topology::singleNode(kRanks);
  const CountRules rules{op, kRanks, is_ternary ? 2 : 1, op == SignOp::kVote && is_ternary};
  const auto fabric = std::make_shared<LoopbackFabric>(kRanks);
  std::array<std::array<float, 70>, kRanks> elements{};
  std::vector<Plan> plans;
  std::vector<Batch> batches(kRanks);
  std::vector<std::unique_ptr<HostEngine>> engines;
  for (Rank rank = 0; rank < kRanks; ++rank) {
    plans.push_back(compilePlan(buildSchedule(algorithm, rank, topology), rules));
  }
  for (std::size_t rank = 0; rank < kRanks; ++rank) {
    Batch& batch = batches[rank];
    batch.rules = rules;
    batch.tie = TieRule::kZero;
    elements.at(rank).fill(1.0F);
    batch.add({.source = elementSource(ElementType::kFloat32, elements.at(rank).data()),
               .sink = elementSink(ElementType::kFloat32, elements.at(rank).data()),
               .count = elements.at(rank).size()});
    batch.add({.source = {&kStepSource, &steps[rank], ElementType::kInt8},
               .sink = {&kStepSink, &steps[rank], ElementType::kFloat32},
               .count = kCount});
    engines.push_back(std::make_unique<HostEngine>(*selectKernels(nullptr),
                                                   std::make_unique<LoopbackTransport>(fabric, static_cast<Rank>(rank)),
                                                   HostEngineOptions{.nthreads = 2, .slice_bytes = 128}, nullptr));
    engines.back()->start(plans[rank], batch);
  }
  const auto is_open = [](const auto& engine) { return !engine->finished(); };
  while (std::ranges::any_of(engines, is_open)) {
    for (const auto& engine : engines) engine->progress();
  }
  for (const auto& mine : elements) EXPECT_EQ(std::ranges::count(mine, 1.0F), std::ssize(mine));
}

TEST(EndsTest, AnOptimizerStepTravelsLikeElementsAndBesideThem) {
  for (const Algorithm algorithm : allAlgorithms()) {
    for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
      for (const bool is_ternary : {false, true}) {
        std::vector<Step> steps;
        for (Rank rank = 0; rank < kRanks; ++rank) steps.push_back(stepOf(rank));
        exchange(algorithm, op, is_ternary, steps);
        for (const Step& step : steps) {
          EXPECT_EQ(step.parameters, expectedParameters(op, is_ternary)) << algorithmName(algorithm);
        }
        EXPECT_EQ(steps[1].momentum[4], stepOf(1).momentum[4] + stepOf(1).gradient[4]) << "encoded once";
      }
    }
  }
}

TEST(EndsTest, EndsOfElementsSayWhatTheyTouch) {
  std::array<std::byte, 64> memory{};
  const Segment segment{.source = elementSource(ElementType::kFloat16, memory.data()),
                        .sink = elementSink(ElementType::kBits, memory.data()),
                        .count = 10};
  EXPECT_EQ(bytesTouched(segment), 20U + 8U);
  EXPECT_TRUE(overwritesUnread(segment));
  EXPECT_STREQ(segment.source.kind->signature(segment.source).name, "float16");
  EXPECT_NE(segment.source.kind->signature(segment.source).digest, segment.sink.kind->signature(segment.sink).digest);
}

}  // namespace
}  // namespace signccl
