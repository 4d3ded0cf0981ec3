// SPDX-License-Identifier: Apache-2.0
// What Lion steps on devices refuse: every refusal names what was given and what was expected.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "stream_lion_job.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::size_t kCount = 256;
constexpr std::size_t kBytes = kCount * sizeof(float);

class StreamLionArgumentsTest : public StreamTest {
 protected:
  StreamLionArgumentsTest() {
    fake_cuda::Config config;
    config.devices = 2;
    begin(config);
    first_.emplace(0);
    ranks_.emplace(1);
    parameters_ = std::make_unique<DeviceBuffer>(kBytes);
    momenta_ = std::make_unique<DeviceBuffer>(kBytes);
    gradients_ = std::make_unique<DeviceBuffer>(kBytes);
    momenta_->put(std::vector<std::byte>(kBytes));
  }

  signcclResult_t create(void* parameters, void* momenta, signcclLion_t* lion) {
    void* all_parameters[] = {nullptr, parameters};
    void* all_momenta[] = {nullptr, momenta};
    const std::size_t counts[] = {0, kCount};
    signcclLionConfig_t config = SIGNCCL_LION_CONFIG_INITIALIZER;
    config.tensorCount = 2;
    config.parameters = all_parameters;
    config.momenta = all_momenta;
    config.counts = counts;
    return signcclLionCreate(lion, &config, (*ranks_)[0]);
  }
  template <typename Matcher>
  void expectNotMade(void* parameters, void* momenta, const Matcher& text) {
    signcclLion_t lion = nullptr;
    EXPECT_EQ(create(parameters, momenta, &lion), signcclInvalidArgument);
    EXPECT_THAT(signcclGetLastError((*ranks_)[0]), text);
    EXPECT_EQ(lion, nullptr);
  }

  /// An object on device 0.
  signcclLion_t make() {
    signcclLion_t lion = nullptr;
    EXPECT_EQ(create(parameters_->data(), momenta_->data(), &lion), signcclSuccess) << signcclGetLastError(nullptr);
    return lion;
  }
  static signcclLionStepConfig_t stepConfig() {
    static const double kValues[] = {0.1};
    signcclLionStepConfig_t step = SIGNCCL_LION_STEP_INITIALIZER;
    step.learningRates = step.beta1s = step.beta2s = step.weightDecays = kValues;
    return step;
  }

  /// Expects that a step is refused and that the next one, which is right, is made.
  template <typename Matcher>
  void expectRefused(const signcclLionStepConfig_t& config, const void* gradients, const Matcher& text,
                     signcclResult_t code = signcclInvalidArgument) {
    signcclLion_t lion = make();
    const void* all[] = {nullptr, gradients};
    EXPECT_EQ(signcclLionStep(lion, &config, all, nullptr), code);
    EXPECT_THAT(signcclGetLastError(nullptr), text);
    all[1] = gradients_->data();
    const signcclLionStepConfig_t right = stepConfig();
    EXPECT_EQ(signcclLionStep(lion, &right, all, nullptr), signcclSuccess) << signcclGetLastError(nullptr);
    EXPECT_EQ(signcclLionDestroy(lion), signcclSuccess);
    expectCuda(cuCtxSynchronize());
  }

  std::optional<CurrentDevice> first_;
  std::optional<Ranks> ranks_;
  std::unique_ptr<DeviceBuffer> parameters_, momenta_, gradients_;
};

TEST_F(StreamLionArgumentsTest, ParametersAndMomentaOfDifferentMemoriesAreRefused) {
  std::vector<float> host(kCount);
  expectNotMade(parameters_->data(), host.data(),
                AllOf(HasSubstr("parameters[1]"), HasSubstr("is device memory of device 0"), HasSubstr("momenta[1]"),
                      HasSubstr("pageable host memory")));
  expectNotMade(host.data(), momenta_->data(),
                AllOf(HasSubstr("momenta[1]"), HasSubstr("is device memory of device 0"), HasSubstr("parameters[1]"),
                      HasSubstr("pageable host memory")));
  const CurrentDevice second(1);
  const DeviceBuffer other(kBytes);
  expectNotMade(parameters_->data(), other.data(),
                AllOf(HasSubstr("parameters[1]"), HasSubstr("device 0"), HasSubstr("momenta[1]"),
                      HasSubstr("device memory of device 1"), HasSubstr("on one device")));
}

TEST_F(StreamLionArgumentsTest, ManagedMisalignedShortAndFreedTensorsAreRefused) {
  CudaDevicePointer managed = 0;
  expectCuda(cuMemAllocManaged(&managed, kBytes, 1));
  expectNotMade(reinterpret_cast<void*>(managed), momenta_->data(),
                AllOf(HasSubstr("parameters[1]"), HasSubstr("managed memory")));
  expectCuda(cuMemFree_v2(managed));
  const DeviceBuffer misaligned(kBytes, 2);
  expectNotMade(parameters_->data(), misaligned.data(),
                AllOf(HasSubstr("momenta[1]"), HasSubstr("misaligned device pointer"), HasSubstr("multiple of 4")));
  const DeviceBuffer tiny(16);
  expectNotMade(tiny.data(), momenta_->data(),
                AllOf(HasSubstr("parameters[1]"), HasSubstr("belong to its allocation")));
  void* const freed = std::make_unique<DeviceBuffer>(kBytes)->data();
  expectNotMade(freed, momenta_->data(), AllOf(HasSubstr("parameters[1]"), HasSubstr("not freed")));
  expectNotMade(parameters_->data(), parameters_->data(), HasSubstr("share memory"));
}

TEST_F(StreamLionArgumentsTest, GradientsThatDoNotFitAreRefused) {
  std::vector<float> host(kCount);
  expectRefused(stepConfig(), host.data(),
                AllOf(HasSubstr("parameters[1]"), HasSubstr("device memory of device 0"), HasSubstr("gradients[1]"),
                      HasSubstr("pageable host memory")));
  const DeviceBuffer misaligned(kBytes, 2);
  expectRefused(stepConfig(), misaligned.data(), AllOf(HasSubstr("gradients[1]"), HasSubstr("misaligned")));
  const DeviceBuffer tiny(16);
  expectRefused(stepConfig(), tiny.data(), AllOf(HasSubstr("gradients[1]"), HasSubstr("belong to its allocation")));
  const CurrentDevice second(1);
  const DeviceBuffer other(kBytes);
  expectRefused(
      stepConfig(), other.data(),
      AllOf(HasSubstr("parameters[1]"), HasSubstr("device 0"), HasSubstr("gradients[1]"), HasSubstr("device 1")));
}

TEST_F(StreamLionArgumentsTest, StreamsThatDoNotFitAreRefused) {
  const CurrentDevice second(1);
  const Stream stream;
  signcclLionStepConfig_t step = stepConfig();
  step.stream = stream.get();
  expectRefused(step, gradients_->data(),
                AllOf(HasSubstr("stream"), HasSubstr("belongs to device 1"), HasSubstr("device 0")));
}

TEST_F(StreamLionArgumentsTest, WhatAStepReadsAndWritesMustBeOnTheDevice) {
  float on_host = 0;
  int skipped = 0;
  signcclLionStepConfig_t step = stepConfig();
  step.foundInf = &on_host;
  expectRefused(step, gradients_->data(), AllOf(HasSubstr("step->foundInf"), HasSubstr("pageable host memory")));
  step = stepConfig();
  step.deviceLearningRates = &on_host;
  expectRefused(step, gradients_->data(),
                AllOf(HasSubstr("step->deviceLearningRates"), HasSubstr("pageable host memory")));
  step = stepConfig();
  step.deviceSkipped = &skipped;
  expectRefused(step, gradients_->data(), AllOf(HasSubstr("step->deviceSkipped"), HasSubstr("pageable host memory")));
  step = stepConfig();
  const DeviceBuffer misaligned(kBytes, 2);
  step.deviceWeightDecays = static_cast<const float*>(misaligned.data());
  expectRefused(step, gradients_->data(), AllOf(HasSubstr("step->deviceWeightDecays"), HasSubstr("misaligned")));
  step = stepConfig();
  step.learningRates = nullptr;
  expectRefused(step, gradients_->data(), HasSubstr("step->learningRates is NULL"));
}

TEST_F(StreamLionArgumentsTest, ObjectsInHostMemoryRefuseWhatIsForDevices) {
  std::vector<float> parameters(kCount);
  std::vector<float> momenta(kCount);
  std::vector<float> gradients(kCount);
  signcclLion_t lion = nullptr;
  ASSERT_EQ(create(parameters.data(), momenta.data(), &lion), signcclSuccess) << signcclGetLastError(nullptr);
  const DeviceValues<float> value({0});
  const DeviceValues<int> skipped({0});
  const Stream stream;
  const auto expect_refused = [&](const char* field, const auto& set) {
    signcclLionStepConfig_t step = stepConfig();
    set(step);
    const void* all[] = {nullptr, gradients.data()};
    EXPECT_EQ(signcclLionStep(lion, &step, all, nullptr), signcclInvalidArgument);
    EXPECT_THAT(signcclGetLastError(nullptr),
                AllOf(HasSubstr(std::string(field) + " is not NULL"), HasSubstr("the parameters are in host memory")));
  };
  expect_refused("step->stream", [&](auto& step) { step.stream = stream.get(); });
  expect_refused("step->foundInf", [&](auto& step) { step.foundInf = value.data(); });
  expect_refused("step->deviceLearningRates", [&](auto& step) { step.deviceLearningRates = value.data(); });
  expect_refused("step->deviceWeightDecays", [&](auto& step) { step.deviceWeightDecays = value.data(); });
  expect_refused("step->deviceSkipped", [&](auto& step) { step.deviceSkipped = skipped.data(); });
  const signcclLionStepConfig_t step = stepConfig();
  const void* all[] = {nullptr, gradients_->data()};
  EXPECT_EQ(signcclLionStep(lion, &step, all, nullptr), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr),
              AllOf(HasSubstr("gradients[1] is device memory of device 0"), HasSubstr("where the parameters are")));
  all[1] = gradients.data();
  EXPECT_EQ(signcclLionStep(lion, &step, all, nullptr), signcclSuccess) << signcclGetLastError(nullptr);
  EXPECT_EQ(signcclLionDestroy(lion), signcclSuccess);
}

TEST_F(StreamLionArgumentsTest, CallsInAWrongOrderAreRefusedAndChangeNothing) {
  signcclLion_t lion = make();
  const signcclLionStepConfig_t step = stepConfig();
  const void* all[] = {nullptr, gradients_->data()};
  int done = 99;
  EXPECT_EQ(signcclLionSubmit(lion, 0, 2, all), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("no Lion step is under way"));
  EXPECT_EQ(signcclLionFinish(lion, -1, &done, nullptr), signcclInvalidUsage);
  ASSERT_EQ(signcclLionBegin(lion, &step), signcclSuccess);
  EXPECT_EQ(signcclLionBegin(lion, &step), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("a Lion step is under way"));
  ASSERT_EQ(signcclLionSubmit(lion, 0, 2, all), signcclSuccess);
  EXPECT_EQ(signcclLionSubmit(lion, 1, 1, all + 1), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("tensor 1 is in this step already"));
  EXPECT_EQ(signcclLionFinish(lion, 0, &done, nullptr), signcclSuccess);
  EXPECT_EQ(done, 1) << "nothing is waited for";
  EXPECT_EQ(signcclLionDestroy(lion), signcclSuccess);
  expectCuda(cuCtxSynchronize());
}

TEST_F(StreamLionArgumentsTest, WithoutTheKernelsTheErrorSaysWhatIsMissing) {
  const Environment environment{{"SIGNCCL_CUDA_LIBRARY", "/nowhere"}};
  ranks_.reset();
  ranks_.emplace(1);
  signcclLion_t lion = nullptr;
  EXPECT_EQ(create(parameters_->data(), momenta_->data(), &lion), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("SIGNCCL_CUDA_LIBRARY=/nowhere: expected the path of"));
}

}  // namespace
}  // namespace signccl
