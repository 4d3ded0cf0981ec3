// SPDX-License-Identifier: Apache-2.0
// Calls of a program whose header is newer than the library: its structs have fields that the library does not know.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "signccl/lion.h"

namespace {

using testing::AllOf;
using testing::HasSubstr;

struct NewerConfig {
  signcclConfig_t known = SIGNCCL_CONFIG_INITIALIZER;
  int number = SIGNCCL_CONFIG_UNDEF_INT;
  int flag = 0;
  const char* text = nullptr;
};

struct NewerSignConfig {
  signcclSignConfig_t known = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  int number = SIGNCCL_CONFIG_UNDEF_INT;
  int flag = 0;
};

struct NewerLionConfig {
  signcclLionConfig_t known = SIGNCCL_LION_CONFIG_INITIALIZER;
  const void* array = nullptr;
};

struct NewerLionStep {
  signcclLionStepConfig_t known = SIGNCCL_LION_STEP_INITIALIZER;
  int number = SIGNCCL_CONFIG_UNDEF_INT;
  int flag = 0;
};

struct NewerStats {
  signcclCommStats_t known{};
  uint64_t counter = 42;
};

struct NewerOutcome {
  signcclSumOutcome_t known = SIGNCCL_SUM_OUTCOME_INITIALIZER;
  uint64_t counter = 42;
};

constexpr unsigned kNewerVersion = 199;  // 0.1.99

template <class T>
T made() {
  T newer;
  newer.known.size = sizeof newer;
  newer.known.version = kNewerVersion;
  return newer;
}

class NewerHeaderTest : public testing::Test {
 protected:
  NewerHeaderTest() { EXPECT_EQ(signcclCommInitAll(&comm, 1, nullptr), signcclSuccess); }
  ~NewerHeaderTest() override { signcclCommDestroy(comm); }

  signcclResult_t split(const NewerConfig& config) const {
    signcclComm_t made = nullptr;
    const signcclResult_t result = signcclCommSplit(comm, 0, 0, &made, &config.known);
    if (result == signcclSuccess) signcclCommDestroy(made);
    return result;
  }

  signcclResult_t vote(const NewerSignConfig& config) {
    const float send = -3;
    return signcclAllReduceVote(&send, &voted, 1, signcclFloat32, signcclFloat32, &config.known, comm, nullptr);
  }

  signcclComm_t comm = nullptr;
  float voted = 0;
};

TEST_F(NewerHeaderTest, UnknownFieldsThatTheInitializerSetAreAccepted) {
  EXPECT_EQ(split(made<NewerConfig>()), signcclSuccess) << signcclGetLastError(comm);
  EXPECT_EQ(vote(made<NewerSignConfig>()), signcclSuccess) << signcclGetLastError(comm);
  EXPECT_EQ(voted, -1.0F);
}

TEST_F(NewerHeaderTest, UnknownFieldOfAConfigThatIsSetIsRefusedWithAText) {
  auto config = made<NewerConfig>();
  config.text = "set";
  EXPECT_EQ(split(config), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(comm),
              AllOf(HasSubstr("config is a signcclConfig_t of version 0.1.99 with " + std::to_string(sizeof config)),
                    HasSubstr("version " SIGNCCL_VERSION_STRING " with " + std::to_string(sizeof(signcclConfig_t)))));
}

TEST_F(NewerHeaderTest, UnknownFieldOfRulesThatIsSetIsRefusedWithAText) {
  auto config = made<NewerSignConfig>();
  config.number = 1;
  EXPECT_EQ(vote(config), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(comm), HasSubstr("config is a signcclSignConfig_t of version 0.1.99"));
}

TEST_F(NewerHeaderTest, LionStructsAreTakenWithDefaultsAndRefusedWithOtherValues) {
  float parameter = 1;
  float momentum = 0;
  const std::size_t count = 1;
  void* const parameters = &parameter;
  void* const momenta = &momentum;
  auto config = made<NewerLionConfig>();
  config.known.tensorCount = 1;
  config.known.parameters = &parameters;
  config.known.momenta = &momenta;
  config.known.counts = &count;
  signcclLion_t lion = nullptr;
  config.array = &count;
  EXPECT_EQ(signcclLionCreate(&lion, &config.known, comm), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(comm), HasSubstr("config is a signcclLionConfig_t of version 0.1.99"));
  config.array = nullptr;
  EXPECT_EQ(signcclLionCreate(&lion, &config.known, comm), signcclSuccess) << signcclGetLastError(comm);
  auto step = made<NewerLionStep>();
  const double half = 0.5;
  step.known.learningRates = step.known.beta1s = step.known.beta2s = step.known.weightDecays = &half;
  const float gradient = 1;
  const void* const gradients = &gradient;
  EXPECT_EQ(signcclLionStep(lion, &step.known, &gradients, nullptr), signcclSuccess) << signcclGetLastError(comm);
  EXPECT_EQ(parameter, 1 - 0.5F * (1 + 0.5F));
  step.number = 1;
  EXPECT_EQ(signcclLionStep(lion, &step.known, &gradients, nullptr), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(comm), HasSubstr("step is a signcclLionStepConfig_t of version 0.1.99"));
  EXPECT_EQ(signcclLionDestroy(lion), signcclSuccess);
}

TEST_F(NewerHeaderTest, CountersThatTheLibraryDoesNotKnowAreLeftAlone) {
  NewerStats stats;
  stats.known.size = sizeof stats;
  EXPECT_EQ(vote(made<NewerSignConfig>()), signcclSuccess);
  EXPECT_EQ(signcclCommGetStats(comm, &stats.known), signcclSuccess) << signcclGetLastError(comm);
  EXPECT_EQ(stats.known.collectives, 1U);
  EXPECT_EQ(stats.known.size, sizeof stats);
  EXPECT_EQ(stats.counter, 42U);
}

TEST_F(NewerHeaderTest, FieldsOfAnOutcomeThatTheLibraryDoesNotKnowAreLeftAlone) {
  NewerOutcome outcome;
  outcome.known.size = sizeof outcome;
  const float one = 1;
  float sum = 0;
  EXPECT_EQ(signcclAllReduceSum(&one, &sum, 1, signcclFloat32, nullptr, comm, nullptr, &outcome.known), signcclSuccess)
      << signcclGetLastError(comm);
  EXPECT_EQ(sum, 1.0F);
  EXPECT_EQ(outcome.known.isWritten, 1);
  EXPECT_EQ(outcome.known.size, sizeof outcome);
  EXPECT_EQ(outcome.counter, 42U);
}

}  // namespace
