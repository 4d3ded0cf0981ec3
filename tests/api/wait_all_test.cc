// SPDX-License-Identifier: Apache-2.0
// signcclRequestWaitAll(): waits for several requests, of any communicators.
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ranks.h"

namespace signccl {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

/// Begins a vote of one element, in place.
signcclRequest_t beginVote(float& value, signcclComm_t comm) {
  signcclRequest_t request = nullptr;
  EXPECT_EQ(
      signcclAllReduceVoteAsync(&value, &value, 1, signcclFloat32, signcclFloat32, nullptr, comm, nullptr, &request),
      signcclSuccess);
  return request;
}

TEST(RequestWaitAll, CompletesTheRequestsOfAllCommunicators) {
  Ranks ranks(3);
  std::vector<float> values(6, -0.5F);
  std::vector<signcclRequest_t> requests;
  for (std::size_t i = 0; i < values.size(); ++i) {
    requests.push_back(beginVote(values[i], ranks[static_cast<int>(i % 3)]));
  }
  EXPECT_EQ(signcclRequestWaitAll(requests.size(), requests.data()), signcclSuccess);
  EXPECT_THAT(requests, Each(nullptr));
  EXPECT_THAT(values, Each(-1.0F));
}

TEST(RequestWaitAll, SkipsEntriesThatAreNull) {
  Ranks ranks(1);
  float value = -0.5F;
  std::vector<signcclRequest_t> requests = {nullptr, beginVote(value, ranks[0]), nullptr};
  EXPECT_EQ(signcclRequestWaitAll(requests.size(), requests.data()), signcclSuccess);
  EXPECT_EQ(value, -1.0F);
  EXPECT_EQ(signcclRequestWaitAll(requests.size(), requests.data()), signcclSuccess) << "all are NULL now";
  EXPECT_EQ(signcclRequestWaitAll(0, nullptr), signcclSuccess);
  EXPECT_EQ(signcclRequestWaitAll(1, nullptr), signcclInvalidArgument);
}

TEST(RequestWaitAll, WaitsForTheOthersAfterAnErrorAndReturnsTheFirst) {
  Ranks healthy(1);
  Ranks ranks(2);
  float lost = 1;
  std::vector<float> values(2, -0.5F);
  // The call of ranks[0] fails, since rank 1 aborts; the calls around it go well.
  std::vector<signcclRequest_t> requests = {beginVote(values[0], healthy[0]), beginVote(lost, ranks[0]),
                                            beginVote(values[1], healthy[0])};
  signcclRequest_t never_made = nullptr;
  requests.push_back(reinterpret_cast<signcclRequest_t>(&never_made));
  EXPECT_EQ(signcclCommAbort(ranks[1]), signcclSuccess);
  EXPECT_EQ(signcclRequestWaitAll(requests.size(), requests.data()), signcclRemoteError);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("rank 1 aborted"));
  EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("rank 1 aborted"));
  EXPECT_THAT(values, Each(-1.0F));
  EXPECT_EQ(requests[2], nullptr);
  EXPECT_NE(requests[3], nullptr) << "what is no request stays";
}

TEST(RequestWaitAll, ReturnsTheErrorOfWhatIsNoRequest) {
  Ranks ranks(1);
  float value = -0.5F;
  const signcclRequest_t request = beginVote(value, ranks[0]);
  std::vector<signcclRequest_t> twice = {request, request};
  EXPECT_EQ(signcclRequestWaitAll(twice.size(), twice.data()), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("invalid request handle"));
  EXPECT_EQ(value, -1.0F);
  EXPECT_EQ(twice, (std::vector<signcclRequest_t>{nullptr, request}));
}

TEST(RequestWaitAll, LeavesRequestsOfAnOpenGroup) {
  Ranks ranks(1);
  float value = -0.5F;
  ASSERT_EQ(signcclGroupStart(), signcclSuccess);
  std::vector<signcclRequest_t> requests = {beginVote(value, ranks[0])};
  EXPECT_EQ(signcclRequestWaitAll(1, requests.data()), signcclInvalidUsage);
  EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("signcclGroupEnd() first"));
  ASSERT_EQ(signcclGroupEnd(), signcclSuccess);
  EXPECT_EQ(signcclRequestWaitAll(1, requests.data()), signcclSuccess);
  EXPECT_EQ(value, -1.0F);
}

}  // namespace
}  // namespace signccl
