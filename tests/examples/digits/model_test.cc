// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace digits {
namespace {

Digits someDigits(std::size_t count) {
  const Digits all = readDigits(SIGNCCL_DIGITS_DATA);
  Digits some;
  for (std::size_t i = 0; i < count; ++i) some.add(all.image(i), all.labels[i]);
  return some;
}

TEST(MlpTest, GradientIsTheSlopeOfTheLoss) {
  Mlp model;
  const Digits batch = someDigits(8);
  std::vector<float> parameters = model.initialParameters(1);
  std::vector<float> gradient(model.parameterCount());
  model.computeGradient(parameters, batch, gradient);

  constexpr float kReach = 2e-3F;
  int checked = 0;
  for (std::size_t i = 5; i < parameters.size(); i += 211) {
    const float here = parameters[i];
    parameters[i] = here + kReach;
    const double above = model.evaluate(parameters, batch).loss;
    parameters[i] = here - kReach;
    const double below = model.evaluate(parameters, batch).loss;
    parameters[i] = here;
    // A step across a kink of ReLU spoils a difference a little; a wrong gradient is off by its own size.
    EXPECT_NEAR((above - below) / (2 * kReach), gradient[i], 1.5e-3) << i;
    checked += std::abs(gradient[i]) > 1e-2F ? 1 : 0;
  }
  EXPECT_GE(checked, 10) << "the batch leaves too many slopes at zero to tell";
}

TEST(MlpTest, GradientIsTheMeanOverTheBatch) {
  Mlp model;
  const std::vector<float> parameters = model.initialParameters(2);
  const Digits one = someDigits(1);
  Digits twice = one;
  twice.add(one.image(0), one.labels[0]);
  std::vector<float> gradient_of_one(model.parameterCount());
  std::vector<float> gradient_of_two(model.parameterCount(), 5.0F);
  model.computeGradient(parameters, one, gradient_of_one);
  model.computeGradient(parameters, twice, gradient_of_two);
  for (std::size_t i = 0; i < parameters.size(); ++i) EXPECT_NEAR(gradient_of_one[i], gradient_of_two[i], 1e-6) << i;
}

TEST(MlpTest, DescentAlongTheGradientLearnsABatch) {
  Mlp model;
  const Digits batch = someDigits(20);
  std::vector<float> parameters = model.initialParameters(3);
  std::vector<float> gradient(model.parameterCount());
  const Score before = model.evaluate(parameters, batch);
  for (int step = 0; step < 300; ++step) {
    model.computeGradient(parameters, batch, gradient);
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i] -= 0.1F * gradient[i];
  }
  const Score after = model.evaluate(parameters, batch);
  EXPECT_LT(before.accuracy, 0.6);
  EXPECT_EQ(after.accuracy, 1.0);
  EXPECT_LT(after.loss, 0.1 * before.loss);
}

TEST(MlpTest, InitialParametersDependOnTheSeedAlone) {
  const Mlp model;
  EXPECT_EQ(model.initialParameters(1), model.initialParameters(1));
  EXPECT_NE(model.initialParameters(1), model.initialParameters(2));
}

TEST(MlpTest, EqualScoresForAllClassesLoseTheLogarithmOfTheirNumber) {
  Mlp model;
  const std::vector<float> parameters(model.parameterCount(), 0.0F);
  EXPECT_NEAR(model.evaluate(parameters, someDigits(50)).loss, std::log(10.0), 1e-5);
}

}  // namespace
}  // namespace digits
