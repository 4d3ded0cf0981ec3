// SPDX-License-Identifier: Apache-2.0
// Lion steps on streams that go wrong: what they leave is what lion.h says, and every refusal names what was given.
#include <chrono>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "stream_lion_job.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

const std::vector<ReferenceHyperparameters> kGroups = {{0.1, 0.9, 0.99, 0.1}};

signcclResult_t stateOf(signcclComm_t comm) {
  signcclResult_t state = signcclSuccess;
  EXPECT_EQ(signcclCommGetAsyncError(comm, &state), signcclSuccess);
  return state;
}

class StreamLionFaultsTest : public StreamTest {
 protected:
  const Environment environment_{{"SIGNCCL_TIMEOUT", "1"}};
};

/// Begins a step of all tensors and enqueues its front.
signcclResult_t submitAll(const DeviceLionRank& lion, signcclLionStepConfig_t config) {
  config.stream = lion.stream().get();
  const signcclResult_t begun = signcclLionBegin(lion.lion(), &config);
  if (begun != signcclSuccess) return begun;
  return signcclLionSubmit(lion.lion(), 0, lion.ntensors(), lion.gradients());
}

signcclResult_t finish(const DeviceLionRank& lion) {
  int done = 0;
  const signcclResult_t result = signcclLionFinish(lion.lion(), -1, &done, nullptr);
  EXPECT_EQ(done, 1);
  return result;
}

TEST_F(StreamLionFaultsTest, AfterAFailureMomentaHaveTakenTheirGradientsOnceAndParametersAreThoseOfBefore) {
  const std::vector<LionShape> shapes = {{500}, {3'000, FloatType::kBFloat16}, {9}};
  LionReference reference(shapes, 3, {}, 1);
  LionReference after = reference;
  after.step(kGroups, 0, {2});  // rank 2 takes no part, so no parameter changes
  Ranks ranks(3);
  std::latch submissions(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    DeviceLionRank lion(reference, rank, {}, comm);
    lion.setGradients(reference.gradientsOf(rank));
    if (rank == 2) {
      submissions.wait();
      EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
      return;
    }
    const LionHyperparameters hyperparameters(kGroups);
    EXPECT_EQ(submitAll(lion, hyperparameters.config()), signcclSuccess) << signcclGetLastError(nullptr);
    submissions.count_down();
    EXPECT_EQ(finish(lion), signcclRemoteError);
    EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("rank 2 aborted"));
    EXPECT_TRUE(lion.agreesWith(after, rank)) << "rank " << rank;

    unsigned char changed[3] = {};
    EXPECT_EQ(signcclLionGetChanged(lion.lion(), changed), signcclSuccess);
    EXPECT_THAT(changed, ::testing::ElementsAre(1, 1, 1)) << "the host does not wait for the stream";
    Ranks alone(1);
    EXPECT_EQ(signcclLionRetry(lion.lion(), alone[0], 1, nullptr), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(nullptr),
                AllOf(HasSubstr("device 0"), HasSubstr("not kept"), HasSubstr("the parameters of one of them")));
    EXPECT_EQ(submitAll(lion, hyperparameters.config()), signcclRemoteError) << "the communicator stays as it is";
    EXPECT_EQ(finish(lion), signcclRemoteError);
  });
}

TEST_F(StreamLionFaultsTest, AStepThatAnotherRankOfTheProcessNeverMakesEndsAtTheDeadline) {
  LionReference reference({{500}}, 2, {}, 2);
  Ranks ranks(2);
  const CurrentDevice current(0);
  DeviceLionRank lion(reference, 0, {}, ranks[0]);
  lion.setGradients(reference.gradientsOf(0));
  const LionHyperparameters hyperparameters(kGroups);
  ASSERT_EQ(submitAll(lion, hyperparameters.config()), signcclSuccess);
  EXPECT_EQ(finish(lion), signcclTimeout);
  // The call and the exchange have the same deadline.
  EXPECT_THAT(signcclGetLastError(nullptr), AnyOf(HasSubstr("the other ranks of its process"), HasSubstr("rank 1")));
  lion.stream().synchronize();
}

/// Makes a step of two ranks, of which the second is in host memory. Expects that both learn of a disagreement.
void expectDisagreement(const std::vector<ReferenceHyperparameters>& on_host, bool has_device_rates,
                        const ::testing::Matcher<std::string>& text) {
  LionReference reference({{500}, {70}}, 2, {}, 3);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const LionHyperparameters hyperparameters(rank == 0 ? kGroups : on_host);
    signcclLionStepConfig_t config = hyperparameters.config();
    if (rank == 1) {
      const std::unique_ptr<LionRank> lion = reference.makeRank(rank, comm);
      lion->setGradients(reference.gradientsOf(rank));
      EXPECT_EQ(signcclLionStep(lion->lion(), &config, lion->gradients(), nullptr), signcclInvalidUsage);
      EXPECT_THAT(signcclGetLastError(nullptr), text);
      for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE(areEqual(lion->parameters(i), reference.parameters(i)));
      return;
    }
    DeviceLionRank lion(reference, rank, {}, comm);
    const DeviceValues<float> rates({0.1F});
    if (has_device_rates) config.deviceLearningRates = rates.data();
    lion.setGradients(reference.gradientsOf(rank));
    EXPECT_THAT(submitAll(lion, config), AnyOf(signcclSuccess, signcclInvalidUsage));
    EXPECT_THAT(finish(lion), AnyOf(signcclSuccess, signcclInvalidUsage));
    lion.stream().synchronize();
    EXPECT_EQ(stateOf(comm), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(comm), text);
    for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE(areEqual(lion.parameters(i), reference.parameters(i)));
  });
}

TEST_F(StreamLionFaultsTest, RanksOnDeviceAndHostThatDisagreeAllLearnItAndChangeNoParameter) {
  expectDisagreement(
      {{0.2, 0.9, 0.99, 0.1}}, false,
      AllOf(HasSubstr("the learning rate of tensor 0 is"), HasSubstr("0.1 on rank 0"), HasSubstr("0.2 on rank 1")));
  expectDisagreement(
      {{0.1, 0.9, 0.98, 0.1}}, false,
      AllOf(HasSubstr("beta2 of tensor 0 is"), HasSubstr("0.99 on rank 0"), HasSubstr("0.98 on rank 1")));
  expectDisagreement(kGroups, true,
                     AllOf(HasSubstr("the learning rate of tensor 0 is"), HasSubstr("that in device memory on rank 0"),
                           HasSubstr("0.1 on rank 1")));
}

/// True if every number is one of `before` or of `after`.
bool isBetween(const DeviceBuffer& buffer, const FloatBuffer& before, const FloatBuffer& after) {
  const std::vector<std::byte> bytes = buffer.get();
  const std::size_t size = floatBytes(before.type());
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    if (std::memcmp(&bytes[at], &before.bytes()[at], size) != 0 &&
        std::memcmp(&bytes[at], &after.bytes()[at], size) != 0)
      return false;
  }
  return buffer.isIntact();
}

/// Makes Lion objects of two ranks and a step of them, in which a call of CUDA fails. True if it was never reached.
bool stepWithFailingCall(long number, const LionReference& before, const LionReference& after) {
  const ReferenceLionRules rules{SignOp::kAvg};
  Ranks ranks(2);
  const DeviceValues<float> found({0});
  const DeviceValues<int> skipped({0, 0});
  std::vector<std::unique_ptr<DeviceLionRank>> lions;
  for (int rank = 0; rank < 2; ++rank) {
    lions.push_back(std::make_unique<DeviceLionRank>(before, rank, rules, ranks[rank]));
    lions.back()->setGradients(before.gradientsOf(rank));
  }
  const LionHyperparameters hyperparameters(kGroups);
  signcclLionStepConfig_t config = hyperparameters.config();
  config.foundInf = found.data();
  fake_cuda::failCall(number, CudaResult::kOutOfMemory);
  const long calls_before = fake_cuda::callsMade();
  bool went_well = true;
  for (std::size_t rank = 0; rank < 2; ++rank) {
    config.deviceSkipped = skipped.data() + rank;
    went_well = submitAll(*lions[rank], config) == signcclSuccess && went_well;
  }
  for (const auto& lion : lions) {
    int done = 0;
    // A step that could not begin cannot end.
    went_well = signcclLionFinish(lion->lion(), -1, &done, nullptr) == signcclSuccess && went_well;
  }
  const bool was_reached = fake_cuda::callsMade() - calls_before >= number;
  fake_cuda::failCall(0, CudaResult::kSuccess);
  if (!went_well) {
    EXPECT_STRNE(signcclGetLastError(nullptr), "") << "call " << number;
    for (int rank = 0; rank < 2; ++rank) signcclCommAbort(ranks[rank]);
  }
  for (int rank = 0; rank < 2; ++rank) {
    const DeviceLionRank& lion = *lions[static_cast<std::size_t>(rank)];
    lion.stream().synchronize();
    for (std::size_t i = 0; i < before.shapes().size(); ++i) {
      EXPECT_TRUE(isBetween(lion.parameters(i), before.parameters(i), after.parameters(i))) << "call " << number;
      EXPECT_TRUE(isBetween(lion.momenta(i), before.momenta(i, rank), after.momenta(i, rank))) << "call " << number;
    }
    if (!was_reached) {
      EXPECT_TRUE(lion.agreesWith(after, rank));
    }
  }
  return !was_reached;
}

TEST_F(StreamLionFaultsTest, WhateverCallOfCudaFailsStreamsDrainAndNothingIsGarbage) {
  const ReferenceLionRules rules{SignOp::kAvg};
  const LionReference before({{500}, {70, FloatType::kBFloat16}}, 2, rules, 4);
  LionReference after = before;
  after.step(kGroups, 0);
  const CurrentDevice current(0);
  Ranks warm(1);  // so that the device and its kernels stay
  const DeviceLionRank keeper(LionReference({{1}}, 1, rules, 5), 0, rules, warm[0]);
  failEveryCall(1, 40, [&](long number) { return stepWithFailingCall(number, before, after); });
}

TEST_F(StreamLionFaultsTest, AnObjectThatHasNoMemoryIsNotMadeAndTheCommunicatorStays) {
  const LionReference reference({{500}}, 1, {}, 6);
  const CurrentDevice current(0);
  Ranks ranks(1);
  const DeviceLionRank keeper(reference, 0, {}, ranks[0]);
  void* parameters[] = {keeper.parameters(0).data()};
  void* momenta[] = {keeper.momenta(0).data()};
  const std::size_t counts[] = {500};
  signcclLionConfig_t config = SIGNCCL_LION_CONFIG_INITIALIZER;
  config.tensorCount = 1;
  config.parameters = parameters;
  config.momenta = momenta;
  config.counts = counts;
  fake_cuda::failCallsOf("cuMemAlloc_v2", CudaResult::kOutOfMemory);
  signcclLion_t lion = nullptr;
  EXPECT_EQ(signcclLionCreate(&lion, &config, ranks[0]), signcclUnhandledCudaError);
  EXPECT_THAT(signcclGetLastError(ranks[0]), AllOf(HasSubstr("cuMemAlloc"), HasSubstr("device 0")));
  EXPECT_EQ(lion, nullptr);
  EXPECT_EQ(stateOf(ranks[0]), signcclSuccess);
}

}  // namespace
}  // namespace signccl
