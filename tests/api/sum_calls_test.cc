// SPDX-License-Identifier: Apache-2.0
// Sums in groups and without blocking: each call has its own outcome.
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ranks.h"

namespace signccl {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

constexpr std::size_t kCount = 500;

/// One sum of a rank, in place.
struct Sum {
  std::vector<float> data = std::vector<float>(kCount, -1.0F);
  signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
  signcclRequest_t request = nullptr;

  signcclResult_t call(signcclComm_t comm) {
    return signcclAllReduceSum(data.data(), data.data(), kCount, signcclFloat32, nullptr, comm, nullptr, &outcome);
  }
  signcclResult_t begin(signcclComm_t comm, bool wants_outcome = true) {
    return signcclAllReduceSumAsync(data.data(), data.data(), kCount, signcclFloat32, nullptr, comm, nullptr,
                                    wants_outcome ? &outcome : nullptr, &request);
  }
};

std::uint64_t exchangesOf(signcclComm_t comm) {
  signcclCommStats_t stats{};
  stats.size = sizeof stats;
  EXPECT_EQ(signcclCommGetStats(comm, &stats), signcclSuccess);
  return stats.exchanges;
}

TEST(SumGroup, EachOfManyCallsIsWrittenOrRefusedByItself) {
  constexpr std::size_t kCalls = 20;  // three exchanges
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<Sum> sums(kCalls);
    if (rank == 1) sums[2].data[499] = 0;
    if (rank == 2) sums[6].data[0] = 3;
    if (rank == 0) sums[7].data[64] = -0.0F;
    const std::vector<Sum> before = sums;
    ASSERT_EQ(signcclGroupStart(), signcclSuccess);
    for (Sum& sum : sums) EXPECT_EQ(sum.call(comm), signcclSuccess);
    ASSERT_EQ(signcclGroupEnd(), signcclSuccess);
    for (std::size_t i = 0; i < kCalls; ++i) {
      const bool is_refused = i == 2 || i == 6 || i == 7;
      const int values = i == 2 ? signcclValuesZeros : is_refused ? signcclValuesOther : signcclValuesSigns;
      EXPECT_EQ(sums[i].outcome.isWritten, is_refused ? 0 : 1) << "call " << i;
      EXPECT_EQ(sums[i].outcome.values, values) << "call " << i;
      EXPECT_EQ(sums[i].data, is_refused ? before[i].data : std::vector<float>(kCount, -3.0F)) << "call " << i;
    }
    EXPECT_EQ(sums[2].outcome.firstIndex, rank == 1 ? 499 : -1);
    EXPECT_EQ(exchangesOf(comm), 3U);
  });
}

TEST(SumGroup, GoesWithOtherCollectivesAndNumbersAllCalls) {
  Ranks ranks(2);
  ranks.inThreads([&](int, signcclComm_t comm) {
    Sum sum;
    std::vector<float> vote(kCount, 2.5F);
    std::vector<float> mean(kCount, -2.5F);
    ASSERT_EQ(signcclGroupStart(), signcclSuccess);
    EXPECT_EQ(call({SignOp::kVote}, vote.data(), vote.data(), kCount, comm), signcclSuccess);
    EXPECT_EQ(sum.call(comm), signcclSuccess);
    EXPECT_EQ(call({SignOp::kAvg}, mean.data(), mean.data(), kCount, comm), signcclSuccess);
    ASSERT_EQ(signcclGroupEnd(), signcclSuccess);
    EXPECT_THAT(vote, Each(1.0F));
    EXPECT_THAT(sum.data, Each(-2.0F));
    EXPECT_THAT(mean, Each(-1.0F));
    std::uint64_t number = 0;
    EXPECT_EQ(signcclCommGetCallNumber(comm, &number), signcclSuccess);
    EXPECT_EQ(number, 3U);
  });
}

TEST(SumGroup, WithoutAnOutcomeReturnsTheErrorAtItsEndAndCarriesOutTheOthers) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Sum good;
    std::vector<float> bad(kCount, 1.0F);
    if (rank == 1) bad[7] = 8;
    ASSERT_EQ(signcclGroupStart(), signcclSuccess);
    EXPECT_EQ(signcclAllReduceSum(bad.data(), bad.data(), kCount, signcclFloat32, nullptr, comm, nullptr, nullptr),
              signcclSuccess);
    EXPECT_EQ(good.call(comm), signcclSuccess);
    EXPECT_EQ(signcclGroupEnd(), signcclInvalidArgument);
    EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr(rank == 1 ? "holds 8 at element 7" : "another rank"));
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr("expected -1 and +1"));
    EXPECT_EQ(bad[0], 1.0F);
    EXPECT_THAT(good.data, Each(-2.0F));
  });
}

/// Begins a good and a refused sum of two ranks, and lets `finish(request)` complete both.
template <typename Finish>
void expectOutcomesBy(const Finish& finish) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Sum good;
    Sum refused;
    if (rank == 0) refused.data[3] = 0;
    ASSERT_EQ(good.begin(comm), signcclSuccess);
    ASSERT_EQ(refused.begin(comm), signcclSuccess);
    for (Sum* const sum : {&refused, &good}) {
      EXPECT_EQ(finish(&sum->request), signcclSuccess);
      EXPECT_EQ(sum->request, nullptr);
    }
    EXPECT_EQ(good.outcome.isWritten, 1);
    EXPECT_THAT(good.data, Each(-2.0F));
    EXPECT_EQ(refused.outcome.isWritten, 0);
    EXPECT_EQ(refused.outcome.values, signcclValuesZeros);
    EXPECT_EQ(refused.outcome.firstIndex, rank == 0 ? 3 : -1);
    EXPECT_EQ(refused.data[0], -1.0F);
  });
}

TEST(SumRequest, TellsTheOutcomeInEveryFunctionThatCompletesIt) {
  expectOutcomesBy([](signcclRequest_t* request) { return signcclRequestWait(request); });
  expectOutcomesBy([](signcclRequest_t* request) { return signcclRequestWaitAll(1, request); });
  expectOutcomesBy([](signcclRequest_t* request) {
    int done = 0;
    return signcclRequestWaitFor(request, 60'000, &done);
  });
  expectOutcomesBy([](signcclRequest_t* request) {
    int done = 0;
    signcclResult_t result = signcclSuccess;
    while (done == 0) {
      result = signcclRequestTest(request, &done);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return result;
  });
}

TEST(SumRequest, WithoutAnOutcomeReturnsTheErrorOnAllRanks) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Sum sum;
    if (rank == 1) sum.data[100] = -5;
    ASSERT_EQ(sum.begin(comm, /*wants_outcome=*/false), signcclSuccess);
    EXPECT_EQ(signcclRequestWait(&sum.request), signcclInvalidArgument);
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr(rank == 1 ? "holds -5 at element 100" : "another rank"));
    EXPECT_EQ(sum.data[0], -1.0F);
    Sum next;
    ASSERT_EQ(next.begin(comm), signcclSuccess);
    EXPECT_EQ(signcclRequestWait(&next.request), signcclSuccess);
    EXPECT_THAT(next.data, Each(-2.0F));
  });
}

TEST(SumRequest, OfAGroupHasItsOwnOutcome) {
  constexpr std::size_t kCalls = 9;  // two exchanges
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<Sum> sums(kCalls);
    if (rank == 0) sums[4].data[0] = 2;
    if (rank == 1) sums[8].data[0] = 2;
    ASSERT_EQ(signcclGroupStart(), signcclSuccess);
    for (Sum& sum : sums) EXPECT_EQ(sum.begin(comm), signcclSuccess);
    ASSERT_EQ(signcclGroupEnd(), signcclSuccess);
    for (std::size_t i = kCalls; i-- > 0;) {
      EXPECT_EQ(signcclRequestWait(&sums[i].request), signcclSuccess);
      EXPECT_EQ(sums[i].outcome.isWritten, i == 4 || i == 8 ? 0 : 1) << "call " << i;
    }
  });
}

TEST(SumFailure, LeavesTheOutcomeAlone) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    Sum sum;
    sum.outcome.values = 77;
    if (rank == 1) {
      EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
      return;
    }
    EXPECT_EQ(sum.call(comm), signcclRemoteError);
    EXPECT_EQ(sum.outcome.values, 77);
    EXPECT_EQ(sum.outcome.isWritten, 0);
  });
}

}  // namespace
}  // namespace signccl
