// SPDX-License-Identifier: Apache-2.0
// Lion steps that go wrong: wrong arguments and calls, failed exchanges, and what they leave.
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "lion_job.h"
#include "ranks.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

const std::vector<ReferenceHyperparameters> kGroups = {{0.01, 0.9, 0.99, 0.1}};
const LionHyperparameters kHyperparameters(kGroups);

/// Three tensors of one rank, of which a test spoils something.
class LionArguments : public ::testing::Test {
 protected:
  LionArguments() {
    config.tensorCount = 3;
    config.parameters = parameters.data();
    config.momenta = momenta.data();
    config.counts = counts.data();
  }

  void expectRefused(const std::string& said) {
    signcclLion_t lion = nullptr;
    EXPECT_EQ(signcclLionCreate(&lion, &config, ranks[0]), signcclInvalidArgument) << said;
    EXPECT_EQ(lion, nullptr);
    EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr(said));
  }

  Ranks ranks{1};
  std::vector<float> memory = std::vector<float>(60);
  std::array<std::size_t, 3> counts = {10, 10, 10};
  std::array<void*, 3> parameters = {memory.data(), memory.data() + 10, memory.data() + 20};
  std::array<void*, 3> momenta = {memory.data() + 30, memory.data() + 40, memory.data() + 50};
  std::array<int, 3> ints = {signcclFloat32, signcclFloat32, signcclFloat32};
  signcclLionConfig_t config = SIGNCCL_LION_CONFIG_INITIALIZER;
};

TEST_F(LionArguments, OfTheConfigAreCheckedAndNamed) {
  EXPECT_EQ(signcclLionCreate(nullptr, &config, ranks[0]), signcclInvalidArgument);
  signcclLion_t lion = nullptr;
  EXPECT_EQ(signcclLionCreate(&lion, nullptr, ranks[0]), signcclInvalidArgument);
  EXPECT_EQ(signcclLionCreate(&lion, &config, nullptr), signcclInvalidArgument);
  const signcclLionConfig_t good = config;
  const auto spoil = [&](const auto& change, const std::string& said) {
    change();
    expectRefused(said);
    config = good;
  };
  spoil([&] { config.magic = 1; }, "config was not initialised with SIGNCCL_LION_CONFIG_INITIALIZER");
  spoil([&] { config.tensorCount = 0; }, "config->tensorCount is 0, expected at least 1");
  spoil([&] { config.parameters = nullptr; }, "config->parameters is NULL");
  spoil([&] { config.momenta = nullptr; }, "config->momenta is NULL");
  spoil([&] { config.counts = nullptr; }, "config->counts is NULL");
  spoil([&] { config.groupCount = 0; }, "config->groupCount is 0, expected at least 1");
  spoil([&] { config.aggregation = 2; }, "config->aggregation is 2, expected 0 (vote) or 1 (avg)");
  spoil([&] { config.zeroRule = 7; }, "config->zeroRule is 7");
  spoil([&] { config.tieRule = 7; }, "config->tieRule is 7");
  spoil([&] { config.rounding = 2; }, "config->rounding is 2, expected 0 (to nearest) or 1 (stochastic)");
  spoil([&] { config.reserved = 1; }, "config->reserved is set");
}

TEST_F(LionArguments, OfTensorsAreCheckedAndNamed) {
  for (const auto array : {&signcclLionConfig_t::parameterTypes, &signcclLionConfig_t::momentumTypes,
                           &signcclLionConfig_t::gradientTypes}) {
    ints[1] = signcclFloat64;
    config.*array = ints.data();
    expectRefused("Types[1] is 8, expected 7 (float32), 6 (float16) or 9 (bfloat16)");
    config.*array = nullptr;
  }
  ints = {0, 0, 2};
  config.groups = ints.data();
  config.groupCount = 2;
  expectRefused("groups[2] is 2, expected 0 to 1");
  ints[2] = -1;
  expectRefused("groups[2] is -1, expected 0 to 1");
  ints[2] = 1;
  parameters[1] = nullptr;
  expectRefused("parameters[1] is NULL and counts[1] is 10");
  parameters[1] = memory.data() + 10;
  momenta[2] = nullptr;
  expectRefused("momenta[2] is NULL and counts[2] is 10");
  momenta[2] = memory.data() + 50;
  counts[0] = std::numeric_limits<std::size_t>::max() / 4;
  expectRefused("counts[0] is ");
}

TEST_F(LionArguments, BuffersThatShareMemoryAreRefused) {
  parameters[2] = memory.data() + 19;
  expectRefused("parameters[1] and parameters[2] share memory");
  parameters[2] = memory.data() + 20;
  momenta[0] = parameters[0];
  expectRefused("[0] share memory");
  momenta[0] = memory.data() + 30;
  counts[1] = 0;
  parameters[1] = parameters[0];
  signcclLion_t lion = nullptr;
  EXPECT_EQ(signcclLionCreate(&lion, &config, ranks[0]), signcclSuccess) << "nothing has no place";
  EXPECT_EQ(signcclLionDestroy(lion), signcclSuccess);
}

TEST_F(LionArguments, OfAStepAreCheckedAndNamedAndBeginNothing) {
  signcclLion_t lion = nullptr;
  ASSERT_EQ(signcclLionCreate(&lion, &config, ranks[0]), signcclSuccess);
  const std::array<const void*, 3> none = {};
  const auto expect_refused = [&](const signcclLionStepConfig_t& step, const std::string& said) {
    EXPECT_EQ(signcclLionBegin(lion, &step), signcclInvalidArgument) << said;
    EXPECT_EQ(signcclLionStep(lion, &step, none.data(), nullptr), signcclInvalidArgument) << said;
    EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr(said));
  };
  signcclLionStepConfig_t step = kHyperparameters.config();
  step.learningRates = nullptr;
  expect_refused(step, "step->learningRates is NULL");
  step = kHyperparameters.config();
  step.skip = 2;
  expect_refused(step, "step->skip is 2, expected 0 or 1");
  step = kHyperparameters.config();
  step.background = -1;
  expect_refused(step, "step->background is -1, expected 0 or 1");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {-0.1, nan, std::numeric_limits<double>::infinity(), 1e39}) {
    step = kHyperparameters.config();
    step.learningRates = &bad;
    expect_refused(step, "step->learningRates[0] is ");
    step = kHyperparameters.config();
    step.weightDecays = &bad;
    expect_refused(step, "step->weightDecays[0] is ");
  }
  for (const double bad : {-0.1, nan, 1.1}) {
    step = kHyperparameters.config();
    step.beta1s = &bad;
    expect_refused(step, "step->beta1s[0] is ");
    step = kHyperparameters.config();
    step.beta2s = &bad;
    expect_refused(step, "step->beta2s[0] is ");
  }
  EXPECT_EQ(signcclLionBegin(lion, nullptr), signcclInvalidArgument);
  step = kHyperparameters.config();
  EXPECT_EQ(signcclLionStep(lion, &step, nullptr, nullptr), signcclInvalidArgument);
  int done = 0;
  EXPECT_EQ(signcclLionFinish(lion, -1, &done, nullptr), signcclInvalidUsage) << "no step has begun";
  std::uint64_t number = 9;
  signcclCommGetCallNumber(ranks[0], &number);
  EXPECT_EQ(number, 0U);
  EXPECT_EQ(signcclLionDestroy(lion), signcclSuccess);
}

TEST_F(LionArguments, CallsInAWrongOrderAreRefusedAndChangeNothing) {
  signcclLion_t lion = nullptr;
  ASSERT_EQ(signcclLionCreate(&lion, &config, ranks[0]), signcclSuccess);
  const std::array<const void*, 3> none = {};
  const signcclLionStepConfig_t step = kHyperparameters.config();
  const auto said = [&] { return std::string(signcclGetLastError(ranks[0])); };
  EXPECT_EQ(signcclLionSubmit(lion, 0, 1, none.data()), signcclInvalidUsage);
  EXPECT_THAT(said(), HasSubstr("no Lion step is under way"));
  EXPECT_EQ(signcclLionRetry(lion, ranks[0], 1, nullptr), signcclInvalidUsage);
  EXPECT_THAT(said(), HasSubstr("the last Lion step did not fail"));
  ASSERT_EQ(signcclLionBegin(lion, &step), signcclSuccess);
  EXPECT_EQ(signcclLionBegin(lion, &step), signcclInvalidUsage);
  EXPECT_THAT(said(), HasSubstr("a Lion step is under way"));
  EXPECT_EQ(signcclLionRetry(lion, ranks[0], 1, nullptr), signcclInvalidUsage);
  EXPECT_EQ(signcclLionSubmit(lion, 1, 3, none.data()), signcclInvalidArgument);
  EXPECT_THAT(said(), HasSubstr("first is 1 and n is 3, expected tensors among 3"));
  EXPECT_EQ(signcclLionSubmit(lion, std::numeric_limits<std::size_t>::max(), 2, none.data()), signcclInvalidArgument);
  EXPECT_EQ(signcclLionSubmit(lion, 0, 1, nullptr), signcclInvalidArgument);
  EXPECT_EQ(signcclLionSubmit(lion, 0, 2, none.data()), signcclSuccess);
  EXPECT_EQ(signcclLionSubmit(lion, 1, 2, none.data()), signcclInvalidUsage);
  EXPECT_THAT(said(), HasSubstr("tensor 1 is in this step already"));
  int done = 0;
  EXPECT_EQ(signcclLionFinish(lion, -2, &done, nullptr), signcclInvalidArgument);
  EXPECT_EQ(signcclLionFinish(lion, -1, nullptr, nullptr), signcclInvalidArgument);
  EXPECT_EQ(signcclLionSubmit(lion, 2, 1, none.data()), signcclSuccess);
  EXPECT_EQ(signcclLionFinish(lion, -1, &done, nullptr), signcclSuccess);
  EXPECT_EQ(signcclLionGetChanged(lion, nullptr), signcclInvalidArgument);
  EXPECT_EQ(signcclGroupStart(), signcclSuccess);
  EXPECT_EQ(signcclLionStep(lion, &step, none.data(), nullptr), signcclInvalidUsage);
  EXPECT_THAT(said(), HasSubstr("a group cannot hold a Lion step"));
  EXPECT_EQ(signcclGroupEnd(), signcclSuccess);
  EXPECT_EQ(signcclLionDestroy(lion), signcclSuccess);
  EXPECT_EQ(signcclLionDestroy(lion), signcclInvalidUsage);
  EXPECT_EQ(signcclLionStep(lion, &step, none.data(), nullptr), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("invalid Lion handle"));
  EXPECT_EQ(signcclLionDestroy(nullptr), signcclInvalidArgument);
}

TEST_F(LionArguments, RetryThatIsRefusedKeepsTheCommunicator) {
  Ranks others{1};
  signcclLion_t lion = nullptr;
  ASSERT_EQ(signcclLionCreate(&lion, &config, ranks[0]), signcclSuccess);
  EXPECT_EQ(signcclLionRetry(lion, others[0], 1, nullptr), signcclInvalidUsage);
  const std::array<const void*, 3> none = {};
  const signcclLionStepConfig_t step = kHyperparameters.config();
  EXPECT_EQ(signcclLionStep(lion, &step, none.data(), nullptr), signcclSuccess);
  std::uint64_t number = 9;
  EXPECT_EQ(signcclCommGetCallNumber(ranks[0], &number), signcclSuccess);
  EXPECT_EQ(number, 1U) << "the step was made on the communicator of the object";
  EXPECT_EQ(signcclLionDestroy(lion), signcclSuccess);
}

TEST_F(LionArguments, ChildAfterForkHasNoLionObject) {
  signcclLion_t lion = nullptr;
  ASSERT_EQ(signcclLionCreate(&lion, &config, ranks[0]), signcclSuccess);
  const std::array<const void*, 3> none = {};
  const signcclLionStepConfig_t step = kHyperparameters.config();
  const pid_t child = fork();
  if (child == 0) {
    const bool is_right = signcclLionStep(lion, &step, none.data(), nullptr) == signcclInvalidUsage &&
                          std::string(signcclGetLastError(nullptr)).find("belongs to process") != std::string::npos &&
                          signcclLionDestroy(lion) == signcclSuccess;
    _exit(is_right ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(signcclLionStep(lion, &step, none.data(), nullptr), signcclSuccess) << "the parent goes on";
  EXPECT_EQ(signcclLionDestroy(lion), signcclSuccess);
}

/// Three ranks, of which the last one aborts before its part of a step is done.
class FailedLionStep : public ::testing::TestWithParam<int> {
 protected:
  static constexpr int kRanks = 3;
  static constexpr int kSurvivors = 2;

  FailedLionStep() {
    for (int rank = 0; rank < kRanks; ++rank) {
      lions.push_back(reference.makeRank(rank, ranks[rank]));
      lion(rank).setGradients(reference.gradientsOf(rank));
    }
  }

  LionRank& lion(int rank) { return *lions[static_cast<std::size_t>(rank)]; }

  /// The survivors give all tensors, one by one; rank 2 gives the first `given` of them and aborts once they are
  /// through.
  void fail(std::size_t given) {
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      signcclLionStepConfig_t config = kHyperparameters.config();
      config.background = given > 0 ? 1 : GetParam();
      ASSERT_EQ(signcclLionBegin(lion(rank).lion(), &config), signcclSuccess);
      const std::size_t mine = rank == kSurvivors ? given : shapes.size();
      for (std::size_t i = 0; i < mine; ++i) {
        const signcclResult_t result = signcclLionSubmit(lion(rank).lion(), i, 1, lion(rank).gradients() + i);
        EXPECT_TRUE(result == signcclSuccess || result == signcclRemoteError) << result;
        while (i < given && changed(rank)[i] == 0) std::this_thread::yield();
      }
      int done = 0;
      if (rank == kSurvivors) {
        EXPECT_EQ(signcclLionFinish(lion(rank).lion(), -1, &done, nullptr), signcclSuccess);
        EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
        return;
      }
      EXPECT_EQ(signcclLionFinish(lion(rank).lion(), -1, &done, nullptr), signcclRemoteError);
      EXPECT_EQ(done, 1);
      EXPECT_THAT(signcclGetLastError(comm), HasSubstr("rank 2 aborted"));
    });
  }

  std::vector<unsigned char> changed(int rank) {
    std::vector<unsigned char> changed(shapes.size());
    EXPECT_EQ(signcclLionGetChanged(lion(rank).lion(), changed.data()), signcclSuccess);
    return changed;
  }

  /// Retries among the survivors and makes one more step.
  void goOn(int are_parameters_restored) {
    Ranks fewer(kSurvivors);
    LionReference survivors = reference.withoutLastRank();
    fewer.inThreads([&](int rank, signcclComm_t comm) {
      int skipped = 9;
      ASSERT_EQ(signcclLionRetry(lion(rank).lion(), comm, are_parameters_restored, &skipped), signcclSuccess)
          << signcclGetLastError(comm);
      EXPECT_EQ(skipped, 0);
    });
    survivors.step(kGroups, 0);
    for (int rank = 0; rank < kSurvivors; ++rank) EXPECT_TRUE(survivors.agreesWith(rank, lion(rank))) << rank;
    fewer.inThreads([&](int rank, signcclComm_t comm) {
      const signcclLionStepConfig_t config = kHyperparameters.config();
      EXPECT_EQ(signcclLionRetry(lion(rank).lion(), comm, 1, nullptr), signcclInvalidUsage) << "it went well";
      EXPECT_EQ(signcclLionStep(lion(rank).lion(), &config, lion(rank).gradients(), nullptr), signcclSuccess);
    });
    survivors.step(kGroups, 1);
    for (int rank = 0; rank < kSurvivors; ++rank) EXPECT_TRUE(survivors.agreesWith(rank, lion(rank))) << rank;
    lions.clear();  // before their communicators
  }

  const std::vector<LionShape> shapes = {{50'000}, {70}, {400, FloatType::kBFloat16}};
  LionReference reference{shapes, kRanks, {.is_ternary = GetParam() == 1}, 1};
  Ranks ranks{kRanks};
  std::vector<std::unique_ptr<LionRank>> lions;
};

TEST_P(FailedLionStep, HasTakenTheGradientsAndCanBeRetriedAmongTheSurvivors) {
  fail(0);
  LionReference after = reference;
  after.step(kGroups, 0, {kSurvivors});  // as if it had skipped: parameters stay, momenta take the gradients
  for (int rank = 0; rank < kSurvivors; ++rank) {
    EXPECT_TRUE(after.agreesWith(rank, lion(rank))) << "rank " << rank;
    EXPECT_EQ(changed(rank), (std::vector<unsigned char>{0, 0, 0}));
  }
  goOn(0);
}

TEST_P(FailedLionStep, WithSomeParametersChangedIsRetriedOnceTheyAreRestored) {
  fail(1);
  for (int rank = 0; rank < kSurvivors; ++rank) {
    EXPECT_EQ(changed(rank), (std::vector<unsigned char>{1, 0, 0}));
    EXPECT_EQ(signcclLionRetry(lion(rank).lion(), ranks[rank], 0, nullptr), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(ranks[rank]), HasSubstr("may have changed the parameters of tensor 0"));
    lion(rank).setParameters(0, reference.parameters(0));
  }
  goOn(1);
}

TEST_P(FailedLionStep, WhoseRetryFailsCanBeRetriedAgain) {
  fail(0);
  for (int rank = 0; rank < kSurvivors; ++rank) {
    EXPECT_EQ(signcclLionRetry(lion(rank).lion(), ranks[rank], 0, nullptr), signcclRemoteError) << "nobody is left";
  }
  goOn(0);
}

INSTANTIATE_TEST_SUITE_P(All, FailedLionStep, ::testing::Values(0, 1));

TEST(LionDestroy, WaitsForAStepUnderWay) {
  const LionReference reference({{1'000}}, 2, {}, 1);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const auto mine = reference.makeRank(rank, comm);
    mine->setGradients(reference.gradientsOf(rank));
    const signcclLionStepConfig_t config = kHyperparameters.config();
    EXPECT_EQ(signcclLionBegin(mine->lion(), &config), signcclSuccess);
    EXPECT_EQ(signcclLionSubmit(mine->lion(), 0, 1, mine->gradients()), signcclSuccess);
  });
}

TEST(LionDestroy, AfterItsCommunicatorIsFine) {
  const LionReference reference({{1'000}}, 1, {}, 1);
  signcclComm_t comm = nullptr;
  ASSERT_EQ(signcclCommInitAll(&comm, 1, nullptr), signcclSuccess);
  const auto mine = reference.makeRank(0, comm);
  mine->setGradients(reference.gradientsOf(0));
  EXPECT_EQ(signcclCommDestroy(comm), signcclSuccess);
  const signcclLionStepConfig_t config = kHyperparameters.config();
  EXPECT_EQ(signcclLionStep(mine->lion(), &config, mine->gradients(), nullptr), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("the communicator is finalized"));
}

}  // namespace
}  // namespace signccl
