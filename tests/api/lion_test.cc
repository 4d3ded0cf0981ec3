// SPDX-License-Identifier: Apache-2.0
// Lion steps: buckets, skipped steps, numbers, and ranks that disagree.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lion_job.h"
#include "ranks.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<ReferenceHyperparameters> kGroups = {{0.01, 0.9, 0.99, 0.1}};
const LionHyperparameters kHyperparameters(kGroups);

std::vector<LionShape> fewTensors() { return {{700}, {0}, {65}, {1'000}, {3}}; }

/// Ranks that are threads, with what the reference says of them.
class LionTest : public ::testing::Test {
 protected:
  void start(int nranks, const ReferenceLionRules& rules = {}, const std::vector<LionShape>& shapes = fewTensors()) {
    reference = std::make_unique<LionReference>(shapes, nranks, rules, 1);
    ranks = std::make_unique<Ranks>(nranks);
    for (int rank = 0; rank < nranks; ++rank) lions.push_back(reference->makeRank(rank, (*ranks)[rank]));
    for (int rank = 0; rank < nranks; ++rank) lion(rank).setGradients(reference->gradientsOf(rank));
  }

  LionRank& lion(int rank) { return *lions[static_cast<std::size_t>(rank)]; }

  /// Submits tensors [first, first + n) of a rank.
  signcclResult_t submit(int rank, std::size_t first, std::size_t n) {
    return signcclLionSubmit(lion(rank).lion(), first, n, lion(rank).gradients() + first);
  }

  signcclResult_t finish(int rank, int* skipped = nullptr) {
    int done = 0;
    const signcclResult_t result = signcclLionFinish(lion(rank).lion(), -1, &done, skipped);
    EXPECT_EQ(done, 1);
    return result;
  }

  void expectReference(const std::string& where) {
    for (int rank = 0; rank < ranks->size(); ++rank) {
      EXPECT_TRUE(reference->agreesWith(rank, lion(rank))) << where << ", rank " << rank;
    }
  }

  std::unique_ptr<LionReference> reference;
  std::unique_ptr<Ranks> ranks;
  std::vector<std::unique_ptr<LionRank>> lions;  ///< go before their communicators
};

TEST_F(LionTest, BucketsGiveWhatOneExchangeGives) {
  start(4);
  const std::vector<std::vector<std::size_t>> cuts = {{0, 5}, {3, 4, 2, 3, 1, 2, 0, 1, 4, 5}, {2, 5, 0, 0, 0, 2}};
  std::uint64_t call = 0;
  for (const bool in_background : {false, true}) {
    for (const std::vector<std::size_t>& cut : cuts) {
      ranks->inThreads([&](int rank, signcclComm_t comm) {
        signcclLionStepConfig_t config = kHyperparameters.config();
        config.background = in_background ? 1 : 0;
        ASSERT_EQ(signcclLionBegin(lion(rank).lion(), &config), signcclSuccess) << signcclGetLastError(comm);
        for (std::size_t i = 0; i < cut.size(); i += 2) {
          EXPECT_EQ(submit(rank, cut[i], cut[i + 1] - cut[i]), signcclSuccess) << signcclGetLastError(comm);
        }
        EXPECT_EQ(finish(rank), signcclSuccess) << signcclGetLastError(comm);
      });
      reference->step(kGroups, call++);
      expectReference("cut " + std::to_string(call));
    }
  }
}

TEST_F(LionTest, OneThreadMayDriveSeveralRanksInTheBackground) {
  start(3);
  signcclLionStepConfig_t config = kHyperparameters.config();
  config.background = 1;
  for (int rank = 0; rank < 3; ++rank) {
    ASSERT_EQ(signcclLionBegin(lion(rank).lion(), &config), signcclSuccess);
    EXPECT_EQ(submit(rank, 0, 5), signcclSuccess);
  }
  for (int rank = 0; rank < 3; ++rank) EXPECT_EQ(finish(rank), signcclSuccess) << signcclGetLastError(nullptr);
  reference->step(kGroups, 0);
  expectReference("in the background");
}

TEST_F(LionTest, TensorsThatAreInNoBucketStayAsTheyAre) {
  start(2);
  const std::vector<std::byte> before(lion(0).momenta(3).bytes().begin(), lion(0).momenta(3).bytes().end());
  ranks->inThreads([&](int rank, signcclComm_t) {
    const signcclLionStepConfig_t config = kHyperparameters.config();
    EXPECT_EQ(signcclLionBegin(lion(rank).lion(), &config), signcclSuccess);
    EXPECT_EQ(submit(rank, 0, 3), signcclSuccess);
    EXPECT_EQ(finish(rank), signcclSuccess);
  });
  std::vector<unsigned char> changed(5, 9);
  EXPECT_EQ(signcclLionGetChanged(lion(0).lion(), changed.data()), signcclSuccess);
  EXPECT_EQ(changed, (std::vector<unsigned char>{1, 0, 1, 0, 0}));
  EXPECT_TRUE(areEqual(lion(0).parameters(3), reference->parameters(3)));
  EXPECT_TRUE(std::ranges::equal(lion(0).momenta(3).bytes(), before));
}

TEST_F(LionTest, SkippingRankKeepsEverybodysParametersAndItsOwnMomenta) {
  for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
    lions.clear();
    start(3, {.op = op});
    std::uint64_t call = 0;
    for (const std::vector<int>& skipping : std::vector<std::vector<int>>{{1}, {}, {0, 2}, {0, 1, 2}, {}}) {
      ranks->inThreads([&](int rank, signcclComm_t comm) {
        signcclLionStepConfig_t config = kHyperparameters.config();
        config.skip = std::ranges::count(skipping, rank) > 0 ? 1 : 0;
        int skipped = 99;
        ASSERT_EQ(signcclLionStep(lion(rank).lion(), &config, lion(rank).gradients(), &skipped), signcclSuccess)
            << signcclGetLastError(comm);
        EXPECT_EQ(skipped, skipping.empty() ? 0 : 1);
        std::vector<unsigned char> changed(5, 9);
        EXPECT_EQ(signcclLionGetChanged(lion(rank).lion(), changed.data()), signcclSuccess);
        EXPECT_EQ(changed[0], skipping.empty() ? 1 : 0);
      });
      reference->step(kGroups, call++, skipping);
      expectReference("step " + std::to_string(call));
    }
  }
}

TEST_F(LionTest, StepWithoutElementsIsSkippedByAllToo) {
  start(3, {}, {{0}, {0}});
  ranks->inThreads([&](int rank, signcclComm_t comm) {
    for (const int skipping : {0, 1}) {
      signcclLionStepConfig_t config = kHyperparameters.config();
      config.skip = rank == 1 ? skipping : 0;
      int skipped = 99;
      ASSERT_EQ(signcclLionStep(lion(rank).lion(), &config, lion(rank).gradients(), &skipped), signcclSuccess)
          << signcclGetLastError(comm);
      EXPECT_EQ(skipped, skipping);
    }
  });
}

TEST_F(LionTest, StepTakesOneCallNumberAndCountsAsOneCollective) {
  start(2);
  ranks->inThreads([&](int rank, signcclComm_t comm) {
    signcclCommSetCallNumber(comm, 1'000);
    const signcclLionStepConfig_t config = kHyperparameters.config();
    EXPECT_EQ(signcclLionStep(lion(rank).lion(), &config, lion(rank).gradients(), nullptr), signcclSuccess);
    std::uint64_t number = 0;
    signcclCommGetCallNumber(comm, &number);
    EXPECT_EQ(number, 1'001U);
    signcclCommStats_t stats{};
    stats.size = sizeof stats;
    signcclCommGetStats(comm, &stats);
    EXPECT_EQ(stats.collectives, 1U);
    EXPECT_EQ(stats.exchanges, 1U);
  });
  reference->step(kGroups, 1'000);
  expectReference("call 1,000");
}

TEST_F(LionTest, BoundedWaitSaysThatTheStepGoesOn) {
  start(2);
  const signcclLionStepConfig_t config = kHyperparameters.config();
  ASSERT_EQ(signcclLionBegin(lion(0).lion(), &config), signcclSuccess);
  EXPECT_EQ(submit(0, 0, 5), signcclSuccess);
  for (const int timeout_ms : {0, 20}) {
    int done = 9;
    EXPECT_EQ(signcclLionFinish(lion(0).lion(), timeout_ms, &done, nullptr), signcclSuccess);
    EXPECT_EQ(done, 0) << "rank 1 has not begun";
  }
  ASSERT_EQ(signcclLionBegin(lion(1).lion(), &config), signcclSuccess);
  EXPECT_EQ(submit(1, 0, 5), signcclSuccess);
  ranks->inThreads([&](int rank, signcclComm_t) {
    for (int done = 0; done == 0;) EXPECT_EQ(signcclLionFinish(lion(rank).lion(), 10, &done, nullptr), signcclSuccess);
  });
  reference->step(kGroups, 0);
  expectReference("after bounded waits");
}

TEST_F(LionTest, CollectivesMayBeMixedWithSteps) {
  start(3);
  ranks->inThreads([&](int rank, signcclComm_t comm) {
    std::vector<float> votes(100, rank == 0 ? 1.0F : -1.0F);
    const signcclLionStepConfig_t config = kHyperparameters.config();
    ASSERT_EQ(signcclLionBegin(lion(rank).lion(), &config), signcclSuccess);
    EXPECT_EQ(submit(rank, 0, 2), signcclSuccess);
    EXPECT_EQ(call(Case{}, votes.data(), votes.data(), votes.size(), comm), signcclSuccess);
    EXPECT_EQ(submit(rank, 2, 3), signcclSuccess);
    EXPECT_EQ(finish(rank), signcclSuccess) << signcclGetLastError(comm);
    EXPECT_EQ(votes[0], -1.0F);
  });
  reference->step(kGroups, 0);
  expectReference("beside a vote");
}

/// Which of the two ranks comes first depends on which of them came first.
auto saysThat(const std::string& what, const std::string& on_rank_0, const std::string& on_rank_1) {
  return AllOf(HasSubstr(what + " is "), HasSubstr(on_rank_0 + " on rank 0"), HasSubstr(on_rank_1 + " on rank 1"));
}

/// What rank 1 does differently, and what both are told.
struct LionDisagreement {
  const char* name;
  std::function<void(std::vector<LionShape>&, ReferenceLionRules&, LionHyperparameters&)> change;
  std::string what, on_rank_0, on_rank_1;
};

class LionDisagreements : public ::testing::TestWithParam<LionDisagreement> {};

TEST_P(LionDisagreements, AreReportedOnEveryRankAndChangeNoParameter) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<LionShape> shapes = {{500}, {700}};
    ReferenceLionRules rules;
    LionHyperparameters hyperparameters(kGroups);
    if (rank == 1) GetParam().change(shapes, rules, hyperparameters);
    const LionReference reference(shapes, 2, rules, 1);
    const auto mine = reference.makeRank(rank, comm);
    mine->setGradients(reference.gradientsOf(rank));
    const signcclLionStepConfig_t config = hyperparameters.config();
    EXPECT_EQ(signcclLionStep(mine->lion(), &config, mine->gradients(), nullptr), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(comm), saysThat(GetParam().what, GetParam().on_rank_0, GetParam().on_rank_1));
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      EXPECT_TRUE(areEqual(mine->parameters(i), reference.parameters(i)));
    }
  });
}

using Shapes = std::vector<LionShape>;

INSTANTIATE_TEST_SUITE_P(
    All, LionDisagreements,
    ::testing::Values(
        LionDisagreement{"Count", [](Shapes& shapes, auto&, auto&) { shapes[1].count = 701; }, "count of tensor 1",
                         "700", "701"},
        LionDisagreement{"Tensors", [](Shapes& shapes, auto&, auto&) { shapes.push_back({5}); },
                         "the number of tensors", "2", "3"},
        LionDisagreement{"ParameterType",
                         [](Shapes& shapes, auto&, auto&) { shapes[1].parameters = FloatType::kBFloat16; },
                         "the parameter type of tensor 1", "float32", "bfloat16"},
        LionDisagreement{"MomentumType", [](Shapes& shapes, auto&, auto&) { shapes[0].momenta = FloatType::kFloat16; },
                         "the momentum type of tensor 0", "float32", "float16"},
        LionDisagreement{"GradientType",
                         [](Shapes& shapes, auto&, auto&) { shapes[0].gradients = FloatType::kFloat16; },
                         "the gradient type of tensor 0", "float32", "float16"},
        LionDisagreement{"LearningRate", [](auto&, auto&, LionHyperparameters& h) { h.rates[0] = 0.02; },
                         "the learning rate of tensor 0", "0.01", "0.02"},
        LionDisagreement{"Beta1", [](auto&, auto&, LionHyperparameters& h) { h.beta1s[0] = 0.95; }, "beta1 of tensor 0",
                         "0.9", "0.95"},
        LionDisagreement{"Beta2", [](auto&, auto&, LionHyperparameters& h) { h.beta2s[0] = 0.98; }, "beta2 of tensor 0",
                         "0.99", "0.98"},
        LionDisagreement{"WeightDecay", [](auto&, auto&, LionHyperparameters& h) { h.decays[0] = 0; },
                         "the weight decay of tensor 0", "0.1", "0"},
        LionDisagreement{"Rounding", [](auto&, ReferenceLionRules& r, auto&) { r.rounds_stochastically = true; },
                         "rounding of tensor 0", "to nearest", "stochastic with seed 0"},
        LionDisagreement{"Aggregation", [](auto&, ReferenceLionRules& r, auto&) { r.op = SignOp::kAvg; },
                         "the collective", "a Lion step with AllReduceVote", "a Lion step with AllReduceAvg"},
        LionDisagreement{"TieRule", [](auto&, ReferenceLionRules& r, auto&) { r.tie = TieRule::kZero; }, "the tie rule",
                         "random", "zero"}),
    [](const auto& instance) { return instance.param.name; });

TEST_F(LionTest, StepAgainstACollectiveIsReported) {
  start(2, {}, {{64}});
  ranks->inThreads([&](int rank, signcclComm_t comm) {
    if (rank == 0) {
      const signcclLionStepConfig_t config = kHyperparameters.config();
      EXPECT_EQ(signcclLionStep(lion(rank).lion(), &config, lion(rank).gradients(), nullptr), signcclInvalidUsage);
    } else {
      std::vector<float> votes(64, 1.0F);
      EXPECT_EQ(call(Case{}, votes.data(), votes.data(), votes.size(), comm), signcclInvalidUsage);
    }
    EXPECT_THAT(signcclGetLastError(comm),
                saysThat("the collective", "a Lion step with AllReduceVote", "AllReduceVote"));
  });
}

TEST_F(LionTest, OtherBucketsAreReported) {
  start(2);
  ranks->inThreads([&](int rank, signcclComm_t comm) {
    const signcclLionStepConfig_t config = kHyperparameters.config();
    ASSERT_EQ(signcclLionBegin(lion(rank).lion(), &config), signcclSuccess);
    EXPECT_EQ(submit(rank, rank == 0 ? 0 : 2, 1), signcclSuccess);
    EXPECT_EQ(finish(rank), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(comm), saysThat("the first tensor", "0", "2"));
  });
}

}  // namespace
}  // namespace signccl
