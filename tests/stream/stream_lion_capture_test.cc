// SPDX-License-Identifier: Apache-2.0
// A step of several calls that is begun on one side of a capture, and what is left of it on the other side.
#include <cstdint>

#include <gmock/gmock.h>

#include "graph_job.h"
#include "stream_lion_job.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

const ReferenceHyperparameters kHyperparameters = {0.01, 0.9, 0.99, 0.1};

/// A rank with one tensor and gradients, and a step that is begun.
class BegunStep {
 public:
  BegunStep()
      : reference_({{100}}, 1, {}, 28), lion_(reference_, 0, {}, ranks_[0]), hyperparameters_({kHyperparameters}) {
    lion_.setGradients(reference_.gradientsOf(0));
  }
  void begin() {
    signcclLionStepConfig_t config = hyperparameters_.config();
    config.stream = lion_.stream().get();
    ASSERT_EQ(signcclLionBegin(lion_.lion(), &config), signcclSuccess) << signcclGetLastError(nullptr);
  }
  signcclResult_t submit() { return signcclLionSubmit(lion_.lion(), 0, 1, lion_.gradients()); }
  signcclResult_t finish() {
    int done = 0;
    return signcclLionFinish(lion_.lion(), -1, &done, nullptr);
  }
  [[nodiscard]] const Stream& stream() const { return lion_.stream(); }
  /// What the rank holds once it has made step `call`.
  void expectStep(std::uint64_t call) {
    reference_.step({kHyperparameters}, call);
    EXPECT_TRUE(lion_.agreesWith(reference_, 0));
  }

 private:
  Ranks ranks_{1};
  CurrentDevice current_{0};
  LionReference reference_;
  DeviceLionRank lion_;
  LionHyperparameters hyperparameters_;
};

using StreamLionCaptureTest = GraphTest;

TEST_F(StreamLionCaptureTest, AStepThatWasBegunBeforeTheCaptureEndsAfterIt) {
  BegunStep step;
  step.begin();
  ASSERT_EQ(step.submit(), signcclSuccess) << signcclGetLastError(nullptr);
  const Graph graph(step.stream(), [&] {
    EXPECT_EQ(step.finish(), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("end the step before the capture or after it"));
  });
  EXPECT_EQ(step.finish(), signcclSuccess) << signcclGetLastError(nullptr);
  step.expectStep(0);
  step.begin();
  const Graph other(step.stream(), [&] {
    EXPECT_EQ(step.submit(), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("submit its buckets before the capture"));
  });
  EXPECT_EQ(step.finish(), signcclInvalidUsage) << "the step lacks a bucket";
  step.begin();
  ASSERT_EQ(step.submit(), signcclSuccess) << signcclGetLastError(nullptr);
  EXPECT_EQ(step.finish(), signcclSuccess) << signcclGetLastError(nullptr);
  step.expectStep(2);
}

TEST_F(StreamLionCaptureTest, AStepThatWasBegunInACaptureEndsInIt) {
  BegunStep step;
  {
    const Graph graph(step.stream(), [&] {
      step.begin();
      ASSERT_EQ(step.submit(), signcclSuccess) << signcclGetLastError(nullptr);
    });
    EXPECT_EQ(step.finish(), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("call signcclLionFinish() before the end of the capture"));
  }
  {
    const Graph graph(step.stream(), [&] { step.begin(); });
    EXPECT_EQ(step.submit(), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("belong into the same capture"));
    EXPECT_EQ(step.finish(), signcclInvalidUsage);
  }
  step.begin();
  ASSERT_EQ(step.submit(), signcclSuccess) << signcclGetLastError(nullptr);
  EXPECT_EQ(step.finish(), signcclSuccess) << signcclGetLastError(nullptr);
  step.expectStep(2);
}

}  // namespace
}  // namespace signccl
