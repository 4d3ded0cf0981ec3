// SPDX-License-Identifier: Apache-2.0
#include "trainer.h"

#include <exception>
#include <vector>

#include <gtest/gtest.h>

#include "mean_group.h"

namespace digits {
namespace {

/// In this process alone.
RunResult trainHere(const RunSettings& settings, const Split& data) {
  signccl::launch::JobComm alone;
  return train(settings, data, alone);
}

const Split& splitData() {
  static const Split kSplit = splitDigits(readDigits(SIGNCCL_DIGITS_DATA), HeldOut::kTest);
  return kSplit;
}

RunSettings shortRun(const Method& method, int workers) {
  return {.method = method, .workers = workers, .algorithm = "direct", .steps = 150, .batch = 8, .eval_every = 60};
}

std::vector<Method> everyMethod() {
  return listMethods({MethodKind::kVote, MethodKind::kAvg, MethodKind::kLion, MethodKind::kAdamW},
                     {signcclZeroBinary, signcclZeroTernary},
                     {signcclTieZero, signcclTiePositive, signcclTieNegative, signcclTieRandom});
}

TEST(TrainTest, EveryMethodLearnsAndKeepsReplicasEqual) {
  for (const Method& method : everyMethod()) {
    const RunResult result = trainHere(shortRun(method, 3), splitData());
    EXPECT_TRUE(result.replicas_agree) << method.id();
    EXPECT_GT(result.curve.back().held_out.accuracy, 0.7) << method.id();
    EXPECT_LT(result.curve.front().held_out.accuracy, 0.4) << method.id();
  }
}

TEST(TrainTest, CurveHasItsPointsAndTheEnd) {
  const RunResult result = trainHere(shortRun(everyMethod()[0], 2), splitData());
  std::vector<int> steps;
  for (const CurvePoint& point : result.curve) steps.push_back(point.step);
  EXPECT_EQ(steps, (std::vector<int>{0, 60, 120, 150}));
}

TEST(TrainTest, DependsOnTheSeedAlone) {
  RunSettings settings = shortRun(everyMethod()[0], 4);
  const double loss = trainHere(settings, splitData()).curve.back().held_out.loss;
  EXPECT_EQ(trainHere(settings, splitData()).curve.back().held_out.loss, loss);
  settings.seed = 2;
  EXPECT_NE(trainHere(settings, splitData()).curve.back().held_out.loss, loss);
}

TEST(TrainTest, OneWorkerSendsNothing) {
  EXPECT_EQ(trainHere(shortRun(everyMethod()[0], 1), splitData()).bytes_per_step, 0);
}

TEST(TrainTest, VotesSendAThirtiethOfAnFp32RingOrLess) {
  Method vote = everyMethod()[1];
  ASSERT_EQ(vote.id(), "vote-positive");
  const double sent = trainHere(shortRun(vote, 4), splitData()).bytes_per_step;
  const double ring = fp32RingBytes(4, Mlp().parameterCount());
  EXPECT_GT(ring / sent, 28);
  EXPECT_LE(ring / sent, 32);
}

TEST(TrainTest, AWorkerThatFailsEndsTheRunWithItsError) {
  Split starved = splitData();
  while (starved.training.size() > 1) {
    starved.training.labels.pop_back();
    starved.training.pixels.resize(starved.training.pixels.size() - kPixels);
  }
  for (const Method& method : {everyMethod().front(), everyMethod().back()}) {
    EXPECT_THROW(trainHere(shortRun(method, 3), starved), std::exception) << method.id();
  }
}

}  // namespace
}  // namespace digits
