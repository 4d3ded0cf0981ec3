// SPDX-License-Identifier: Apache-2.0
// Groups: the numbers of their calls, and what becomes of them when a call in them is wrong or the end never comes.
#include <array>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ranks.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr Case kVote{};
constexpr Case kAverage{SignOp::kAvg};
constexpr Case kTernaryVote{SignOp::kVote, signcclFloat32, signcclFloat32, signcclZeroTernary};
constexpr Case kPositiveVote{SignOp::kVote, signcclFloat32, signcclFloat32, signcclZeroBinary, signcclTiePositive};

/// What rank 0 gets of `calls` where all elements tie: two of four ranks are positive. In the group, or call by call.
std::vector<std::vector<float>> resultsOfTies(const std::vector<Case>& calls, bool in_group) {
  Ranks ranks(4);
  std::vector<std::vector<float>> results(calls.size());
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    std::vector<std::vector<float>> data(calls.size(), std::vector<float>(200, rank % 2 == 0 ? 1.0F : -1.0F));
    if (in_group) signcclGroupStart();
    for (std::size_t i = 0; i < calls.size(); ++i) {
      EXPECT_EQ(call(calls[i], data[i].data(), data[i].data(), data[i].size(), comm), signcclSuccess);
    }
    EXPECT_EQ(in_group ? signcclGroupEnd() : signcclSuccess, signcclSuccess);
    if (rank == 0) results = std::move(data);
  });
  return results;
}

TEST(GroupNumbers, FollowTheOrderOfTheCallsForEveryMixtureOfRules) {
  const std::array<Case, 4> kinds = {kVote, kAverage, kTernaryVote, kPositiveVote};
  for (const Case& first : kinds) {
    for (const Case& second : kinds) {
      for (const Case& third : kinds) {
        const std::vector<Case> calls = {first, second, third, kVote};
        EXPECT_EQ(resultsOfTies(calls, /*in_group=*/true), resultsOfTies(calls, /*in_group=*/false));
      }
    }
  }
}

TEST(CallNumber, CountsEveryCollectiveAndCanBeSet) {
  Ranks ranks(1);
  std::vector<float> data(10, 1.0F);
  std::uint64_t number = 99;
  EXPECT_EQ(signcclCommGetCallNumber(ranks[0], &number), signcclSuccess);
  EXPECT_EQ(number, 0U);
  call(kVote, data.data(), data.data(), data.size(), ranks[0]);
  signcclGroupStart();
  for (const Case& tested : {kVote, kAverage}) call(tested, data.data(), data.data(), data.size(), ranks[0]);
  signcclGroupEnd();
  EXPECT_EQ(call(kVote, nullptr, nullptr, 10, ranks[0]), signcclInvalidArgument) << "which takes no number";
  EXPECT_EQ(signcclCommGetCallNumber(ranks[0], &number), signcclSuccess);
  EXPECT_EQ(number, 3U);
  EXPECT_EQ(signcclCommSetCallNumber(ranks[0], 1'000'000'000'000), signcclSuccess);
  call(kVote, data.data(), data.data(), data.size(), ranks[0]);
  EXPECT_EQ(signcclCommGetCallNumber(ranks[0], &number), signcclSuccess);
  EXPECT_EQ(number, 1'000'000'000'001U);
  EXPECT_EQ(signcclCommGetCallNumber(ranks[0], nullptr), signcclInvalidArgument);
}

TEST(CallNumber, LetsAResumedJobGoOnToTheBit) {
  const auto votes = [](std::uint64_t first, int ncalls) {
    Ranks ranks(2);
    std::vector<std::vector<float>> results;
    for (const int rank : {0, 1}) EXPECT_EQ(signcclCommSetCallNumber(ranks[rank], first), signcclSuccess);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      for (int i = 0; i < ncalls; ++i) {
        std::vector<float> data(500, rank == 0 ? 1.0F : -1.0F);
        EXPECT_EQ(call(kVote, data.data(), data.data(), data.size(), comm), signcclSuccess);
        if (rank == 0) results.push_back(data);
      }
    });
    return results;
  };
  const auto whole = votes(0, 7);
  const auto resumed = votes(3, 4);
  EXPECT_TRUE(std::equal(resumed.begin(), resumed.end(), whole.begin() + 3));
}

TEST(CallNumber, OfRanksThatDisagreeIsAnErrorOnEveryRank) {
  Ranks ranks(2);
  EXPECT_EQ(signcclCommSetCallNumber(ranks[1], 5), signcclSuccess);
  ranks.inThreads([&](int, signcclComm_t comm) {
    std::vector<float> data(10, 1.0F);
    EXPECT_EQ(call(kVote, data.data(), data.data(), data.size(), comm), signcclInvalidUsage);
    EXPECT_THAT(signcclGetLastError(comm),
                AllOf(HasSubstr("call number"), HasSubstr("0 on rank 0"), HasSubstr("5 on rank 1")));
  });
}

/// Calls with something wrong in them, each made in an open group with a good call before it.
class WrongCallInAGroup : public ::testing::TestWithParam<const char*> {
 protected:
  signcclResult_t makeWrongCall(signcclComm_t comm) {
    const std::string what = GetParam();
    float value = 1.0F;
    signcclComm_t made = nullptr;
    if (what == "NullBuffer") return call(kVote, nullptr, &value, 1, comm);
    if (what == "WrongType") {
      return signcclAllReduceVote(&value, &value, 1, signcclInt32, signcclFloat32, nullptr, comm, nullptr);
    }
    if (what == "NullComm") return call(kVote, &value, &value, 1, nullptr);
    if (what == "NullRequest") {
      return signcclAllReduceAvgAsync(&value, &value, 1, signcclFloat32, signcclFloat32, nullptr, comm, nullptr,
                                      nullptr);
    }
    return signcclCommSplit(comm, -7, 0, &made, nullptr);
  }
};

TEST_P(WrongCallInAGroup, MakesItsEndReturnTheErrorAndDoNothing) {
  Ranks ranks(1);
  std::vector<float> good(100, -3.0F);
  std::vector<float> in_background(100, -3.0F);
  signcclRequest_t request = nullptr;
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  EXPECT_EQ(call(kVote, good.data(), good.data(), good.size(), ranks[0]), signcclSuccess);
  EXPECT_EQ(signcclAllReduceVoteAsync(in_background.data(), in_background.data(), 100, signcclFloat32, signcclFloat32,
                                      nullptr, ranks[0], nullptr, &request),
            signcclSuccess);
  const signcclResult_t wrong = makeWrongCall(ranks[0]);
  EXPECT_NE(wrong, signcclSuccess);
  const std::string said = signcclGetLastError(nullptr);
  EXPECT_EQ(call(kVote, good.data(), good.data(), good.size(), ranks[0]), signcclSuccess);
  EXPECT_EQ(signcclGroupEnd(), wrong);
  EXPECT_EQ(signcclGetLastError(nullptr), said);
  EXPECT_EQ(good, std::vector<float>(100, -3.0F));
  EXPECT_EQ(signcclRequestWait(&request), wrong) << "the request is not lost";
  EXPECT_EQ(in_background, std::vector<float>(100, -3.0F));

  // Nothing is left of the group: the next call is a call of its own, and number 0.
  EXPECT_EQ(call(kVote, good.data(), good.data(), good.size(), ranks[0]), signcclSuccess);
  EXPECT_EQ(good, std::vector<float>(100, -1.0F));
  std::uint64_t number = 0;
  signcclCommGetCallNumber(ranks[0], &number);
  EXPECT_EQ(number, 1U);
}

INSTANTIATE_TEST_SUITE_P(All, WrongCallInAGroup,
                         ::testing::Values("NullBuffer", "WrongType", "NullComm", "NullRequest", "WrongColor"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(OpenGroup, KeepsItsCommunicatorsFromBeingFinalizedOrDestroyed) {
  Ranks ranks(1);
  std::vector<float> data(10, -2.0F);
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  for (int i = 0; i < 2; ++i) call(kVote, data.data(), data.data(), data.size(), ranks[0]);
  EXPECT_EQ(signcclCommFinalize(ranks[0]), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(ranks[0]),
              AllOf(HasSubstr("an open group holds 2 collective(s)"), HasSubstr("signcclGroupEnd()")));
  EXPECT_EQ(signcclCommDestroy(ranks[0]), signcclInvalidUsage);
  std::jthread([&] { EXPECT_EQ(signcclCommDestroy(ranks[0]), signcclInvalidUsage) << "from any thread"; }).join();
  EXPECT_EQ(signcclGroupEnd(), signcclSuccess);
  EXPECT_EQ(data, std::vector<float>(10, -1.0F));
}

TEST(OpenGroup, LetsGoOfACommunicatorThatWasAborted) {
  Ranks ranks(1);
  std::vector<float> data(10, -2.0F);
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  call(kVote, data.data(), data.data(), data.size(), ranks[0]);
  EXPECT_EQ(signcclCommAbort(ranks[0]), signcclSuccess);
  EXPECT_EQ(signcclCommDestroy(std::exchange(ranks[0], nullptr)), signcclSuccess);
  EXPECT_EQ(signcclGroupEnd(), signcclRemoteError);
  EXPECT_EQ(data, std::vector<float>(10, -2.0F));
}

TEST(OpenGroup, OfAThreadThatEndsIsDropped) {
  Ranks ranks(1);
  std::vector<float> data(10, -2.0F);
  signcclRequest_t request = nullptr;
  std::jthread([&] {
    signcclGroupStart();
    signcclAllReduceVoteAsync(data.data(), data.data(), data.size(), signcclFloat32, signcclFloat32, nullptr, ranks[0],
                              nullptr, &request);
  }).join();
  EXPECT_EQ(signcclRequestWait(&request), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("without signcclGroupEnd()"));
  EXPECT_EQ(data, std::vector<float>(10, -2.0F));
}

}  // namespace
}  // namespace signccl
