// SPDX-License-Identifier: Apache-2.0
// signcclAllReduceSum(): equal to the sum of the reference, bit for bit; or refused on all ranks with nothing written.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ranks.h"
#include "schedule/algorithm.h"
#include "sums.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::array<std::size_t, 8> kCounts = {1, 63, 64, 65, 129, 1000, 4097, 20'011};
constexpr std::array<int, 2> kZeroRules = {signcclZeroBinary, signcclZeroTernary};

/// Sums of one communicator setting, whose types, places of buffers and bad values take turns.
class SumSweep {
 public:
  SumSweep(int nranks, std::size_t seed) : ranks_(nranks), turn_(seed), random_(seed) {}

  void run(std::size_t largest_count) {
    for (const std::size_t count : kCounts) {
      if (count > largest_count) return;
      for (const int zero : kZeroRules) {
        ++turn_;
        SumJob job(ranks_, sumTypes()[turn_ % sumTypes().size()], count, zero, random_);
        const auto discarding = static_cast<SumJob::Discarding>(turn_ % 3);
        job.run(turn_ % 2 == 0, discarding);
        job.expectSums();
        spoil(job, count);
        job.run(turn_ % 2 == 0, discarding);
        job.expectRefusal();
        if (::testing::Test::HasFailure()) return;
      }
    }
  }

 private:
  /// Gives a rank a value that does not fit, at a place that matters.
  void spoil(SumJob& job, std::size_t count) {
    const std::array<std::size_t, 6> places = {0, count - 1, 63, 64, count / 2, count / 64 * 64};
    const std::size_t place = std::min(places[++places_ % places.size()], count - 1);
    const std::vector<StrangeValue> strange = strangeValues(job.type());
    const int rank = static_cast<int>(++victims_) % ranks_.size();
    if (job.zero() == signcclZeroBinary && victims_ % 3 == 0) {
      job.put(rank, place, {0, 0});
    } else {
      job.put(rank, place, strange[victims_ % strange.size()]);
    }
  }

  Ranks ranks_;
  std::size_t turn_;
  std::mt19937_64 random_;
  std::size_t places_ = 0;
  std::size_t victims_ = 0;
};

class SumTest : public ::testing::TestWithParam<int> {};

TEST_P(SumTest, IsExactOrRefusedForEveryAlgorithmInstructionSetAndSliceCount) {
  std::size_t seed = static_cast<std::size_t>(GetParam());
  const KernelsList kernels = supportedKernels();
  for (const Algorithm algorithm : allAlgorithms()) {
    for (std::size_t isa = 0; isa < kernels.count; ++isa) {
      // 512 bytes of signs are 5 slices of the largest vector.
      for (const char* slice_bytes : {"", "512"}) {
        const Environment environment{{"SIGNCCL_ALGO", std::string(algorithmName(algorithm))},
                                      {"SIGNCCL_KERNELS", kernels.instances[isa]->name},
                                      {"SIGNCCL_RANKS_PER_NODE", algorithm == Algorithm::kHierarchical ? "3" : ""},
                                      {"SIGNCCL_SLICE_BYTES", slice_bytes}};
        SCOPED_TRACE(std::string(algorithmName(algorithm)) + " " + kernels.instances[isa]->name + " slices of '" +
                     slice_bytes + "'");
        SumSweep(GetParam(), seed += 7).run(kSanitized && isa > 0 ? 1000 : kCounts.back());
        if (HasFailure()) return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, SumTest, ::testing::Values(1, 2, 3, 4, 5, 6, 7, 8),
                         ::testing::PrintToStringParamName());

TEST(SumRefusal, ComesForEveryStrangeValueOfEveryTypeWithItsPlaceAndValue) {
  Ranks ranks(3);
  std::mt19937_64 random(1);
  for (const ElementType type : sumTypes()) {
    for (const int zero : kZeroRules) {
      for (const StrangeValue& strange : strangeValues(type)) {
        for (const std::size_t place : {0U, 63U, 64U, 99U, 100U}) {
          SumJob job(ranks, type, 101, zero, random);
          job.put(1, place, strange);
          job.run(place % 2 == 0);
          job.expectRefusal();
          EXPECT_EQ(job.outcome(1).firstIndex, static_cast<std::int64_t>(place));
          const double value = job.outcome(1).firstValue;
          EXPECT_TRUE(std::isnan(strange.value) ? std::isnan(value) : value == strange.value)
              << value << ", expected " << strange.value;
          EXPECT_EQ(std::signbit(value) && !std::isnan(value), std::signbit(strange.value) && !std::isnan(value));
          ASSERT_FALSE(HasFailure()) << "type " << static_cast<int>(type) << ", pattern " << strange.pattern;
        }
      }
    }
  }
}

TEST(SumRefusal, ComesForABadValueAtEveryPlaceOfEveryRank) {
  constexpr std::size_t kCount = 150;
  for (const int nranks : {2, 4, 5}) {
    Ranks ranks(nranks);
    std::mt19937_64 random(2);
    for (std::size_t place = 0; place < kCount; ++place) {
      SumJob job(ranks, ElementType::kInt8, kCount, signcclZeroTernary, random);
      job.put(static_cast<int>(place) % nranks, place, strangeValues(ElementType::kInt8)[0]);
      job.run(place % 2 == 0);
      job.expectRefusal();
      ASSERT_FALSE(HasFailure()) << nranks << " ranks, element " << place;
    }
  }
}

TEST(SumRefusal, ZerosOfOneRankAndATwoOfAnotherAreOtherValuesForAll) {
  Ranks ranks(3);
  std::mt19937_64 random(3);
  SumJob job(ranks, ElementType::kFloat32, 200, signcclZeroBinary, random);
  job.put(0, 150, {0, 0});
  job.put(1, 70, {0x4000'0000, 2});
  job.run(true);
  job.expectRefusal();
  for (int rank = 0; rank < 3; ++rank) EXPECT_EQ(job.outcome(rank).values, signcclValuesOther);
  EXPECT_EQ(job.outcome(0).firstIndex, 150);
  EXPECT_EQ(job.outcome(0).firstValue, 0.0);
  EXPECT_EQ(job.outcome(1).firstIndex, 70);
  EXPECT_EQ(job.outcome(1).firstValue, 2.0);
  EXPECT_EQ(job.outcome(2).firstIndex, -1);
}

TEST(SumOutcome, TellsWhetherTernaryWasNeeded) {
  Ranks ranks(2);
  std::vector<float> values(100, -1.0F);
  signcclSignConfig_t ternary = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  ternary.zeroRule = signcclZeroTernary;
  const auto values_with = [&](const signcclSignConfig_t* config) {
    std::vector<signcclSumOutcome_t> outcomes(2, SIGNCCL_SUM_OUTCOME_INITIALIZER);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      std::vector<float> sums(100);
      EXPECT_EQ(signcclAllReduceSum(values.data(), sums.data(), 100, signcclFloat32, config, comm, nullptr,
                                    &outcomes[static_cast<std::size_t>(rank)]),
                signcclSuccess);
    });
    EXPECT_EQ(outcomes[0].values, outcomes[1].values);
    return std::pair(outcomes[0].values, outcomes[0].isWritten);
  };
  EXPECT_EQ(values_with(nullptr), std::pair(int{signcclValuesSigns}, 1));
  EXPECT_EQ(values_with(&ternary), std::pair(int{signcclValuesSigns}, 1));
  values[99] = 0;
  EXPECT_EQ(values_with(nullptr), std::pair(int{signcclValuesZeros}, 0));
  EXPECT_EQ(values_with(&ternary), std::pair(int{signcclValuesZeros}, 1));
  values[98] = -0.0F;
  EXPECT_EQ(values_with(&ternary), std::pair(int{signcclValuesOther}, 0));
}

TEST(SumOutcome, OfNoElementsIsThatAllAreSigns) {
  Ranks ranks(2);
  ranks.inThreads([&](int, signcclComm_t comm) {
    signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
    outcome.values = outcome.isWritten = 9;
    EXPECT_EQ(signcclAllReduceSum(nullptr, nullptr, 0, signcclInt8, nullptr, comm, nullptr, &outcome), signcclSuccess);
    EXPECT_EQ(outcome.values, signcclValuesSigns);
    EXPECT_EQ(outcome.isWritten, 1);
    EXPECT_EQ(outcome.firstIndex, -1);
  });
}

TEST(SumWithoutOutcome, IsAnErrorOnAllRanksWithTheValueAndLeavesTheCommunicatorUsable) {
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<double> values(1000, -1);
    if (rank == 1) values[700] = 2.5;
    const std::vector<double> before = values;
    EXPECT_EQ(signcclAllReduceSum(values.data(), values.data(), 1000, signcclFloat64, nullptr, comm, nullptr, nullptr),
              signcclInvalidArgument);
    EXPECT_EQ(values, before);
    const std::string text = signcclGetLastError(nullptr);
    EXPECT_THAT(text, AllOf(HasSubstr("rank " + std::to_string(rank) + ", this one"), HasSubstr("expected -1 and +1")));
    EXPECT_THAT(text, HasSubstr(rank == 1 ? "holds 2.5 at element 700" : "another rank"));
    EXPECT_EQ(text, signcclGetLastError(comm));
    signcclResult_t async = signcclInternalError;
    EXPECT_EQ(signcclCommGetAsyncError(comm, &async), signcclSuccess);
    EXPECT_EQ(async, signcclSuccess);
    values.assign(1000, 1);
    EXPECT_EQ(signcclAllReduceSum(values.data(), values.data(), 1000, signcclFloat64, nullptr, comm, nullptr, nullptr),
              signcclSuccess);
    EXPECT_EQ(values, std::vector<double>(1000, 3));
  });
}

TEST(SumWithoutOutcome, ThatDiscardsItsInputSaysWhoseValueDidNotFit) {
  const Environment environment{{"SIGNCCL_SLICE_BYTES", "512"}};
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    constexpr std::size_t kCount = 20'000;
    std::vector<float> values(kCount, 1);
    if (rank == 1) values[kCount - 1] = 3;
    signcclSignConfig_t config = SIGNCCL_SIGN_CONFIG_INITIALIZER;
    config.misfitRule = signcclMisfitDiscard;
    EXPECT_EQ(
        signcclAllReduceSum(values.data(), values.data(), kCount, signcclFloat32, &config, comm, nullptr, nullptr),
        signcclInvalidArgument);
    EXPECT_EQ(values[0], 2) << "the first piece was summed";
    EXPECT_THAT(signcclGetLastError(nullptr),
                AllOf(HasSubstr(rank == 1 ? "rank 1, this one, held a value" : "another rank than rank 0"),
                      HasSubstr("recvbuff is not the sum")));
  });
}

TEST(SumOfThreads, IsExactOrRefusedWithSeveralKernelThreadsAndLargeBuffers) {
  // Several slices, which are large enough for the pool.
  constexpr std::size_t kCount = kSanitized ? 600'001 : 1'500'001;
  for (const char* threads : {"1", "2", "4"}) {
    const Environment environment{{"SIGNCCL_NTHREADS", threads}, {"SIGNCCL_SLICE_BYTES", "20000"}};
    Ranks ranks(3);
    std::mt19937_64 random(4);
    for (const ElementType type : {ElementType::kInt8, ElementType::kFloat32}) {
      SumJob job(ranks, type, kCount, signcclZeroBinary, random);
      for (const auto discarding : {SumJob::Discarding::kNone, SumJob::Discarding::kOdd, SumJob::Discarding::kAll}) {
        job.run(false, discarding);
        job.expectSums();
      }
      job.put(2, kCount - 1, strangeValues(type)[0]);
      for (const bool in_place : {true, false}) {
        job.run(in_place, in_place ? SumJob::Discarding::kOdd : SumJob::Discarding::kAll);
        job.expectRefusal();
      }
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST(SumMismatch, WithAnAverageNamesBothCollectives) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<std::int8_t> values(100, 1);
    signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
    const signcclResult_t result =
        rank == 0
            ? signcclAllReduceSum(values.data(), values.data(), 100, signcclInt8, nullptr, comm, nullptr, &outcome)
            : signcclAllReduceAvg(values.data(), values.data(), 100, signcclInt8, signcclInt8, nullptr, comm, nullptr);
    EXPECT_EQ(result, signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(nullptr), AllOf(HasSubstr("AllReduceSum on rank 0"), HasSubstr("AllReduceAvg on")));
    EXPECT_EQ(outcome.isWritten, 0) << "left alone";
  });
}

class SumArguments : public ::testing::Test {
 protected:
  void expectRefused(signcclDataType_t type, signcclComm_t comm, const std::string& expected) {
    EXPECT_EQ(signcclAllReduceSum(values.data(), values.data(), 1, type, nullptr, comm, nullptr, &outcome),
              signcclInvalidArgument);
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr(expected));
  }

  std::vector<double> values = {1};
  signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
};

TEST_F(SumArguments, OtherTypesAreRefused) {
  Ranks ranks(1);
  expectRefused(signcclInt32, ranks[0], "datatype is int32, expected float32, float16, bfloat16, float64 or int8");
  expectRefused(signcclInt16, ranks[0], "datatype is int16");
  expectRefused(signcclBits, ranks[0], "datatype is bits");
  expectRefused(static_cast<signcclDataType_t>(77), ranks[0], "datatype is 77");
}

TEST_F(SumArguments, MoreRanksThanATypeSumsExactlyAreRefused) {
  Ranks ranks(128);
  expectRefused(signcclInt8, ranks[5],
                "datatype is int8, which does not hold all sums of 128 ranks exactly; at most 127 ranks");
}

TEST_F(SumArguments, AnOutcomeOfAnotherSizeIsRefused) {
  Ranks ranks(1);
  outcome.size = 8;
  expectRefused(signcclFloat64, ranks[0], "outcome->size is 8");
}

TEST_F(SumArguments, AStreamIsRefusedWhereTheProcessHasNoCudaDriver) {
  Ranks ranks(1);
  EXPECT_EQ(signcclAllReduceSum(values.data(), values.data(), 1, signcclFloat64, nullptr, ranks[0],
                                reinterpret_cast<signcclStream_t>(&values), &outcome),
            signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("stream"));
}

}  // namespace
}  // namespace signccl
