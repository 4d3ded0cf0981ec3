// SPDX-License-Identifier: Apache-2.0
// signcclGetLastError() of a communicator: it has the text of what made the communicator fail, whoever hears of it.
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ranks.h"

namespace signccl {
namespace {

using ::testing::HasSubstr;

/// Waits until a rank has noticed that its communicator failed.
signcclResult_t awaitFailure(signcclComm_t comm) {
  signcclResult_t state = signcclSuccess;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (state == signcclSuccess || state == signcclInProgress) {
    EXPECT_EQ(signcclCommGetAsyncError(comm, &state), signcclSuccess);
    if (std::chrono::steady_clock::now() > deadline) break;
    std::this_thread::yield();
  }
  return state;
}

TEST(LastError, IsEmptyWhereNothingWentWrong) {
  Ranks ranks(1);
  EXPECT_STREQ(signcclGetLastError(ranks[0]), "");
}

TEST(LastError, OfAnAsynchronousFailureIsThereForAWatchdogThatMadeNoCall) {
  Ranks ranks(2);
  EXPECT_EQ(signcclCommAbort(ranks[1]), signcclSuccess);
  std::jthread([&] {
    EXPECT_EQ(awaitFailure(ranks[0]), signcclRemoteError);
    EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("rank 1 aborted the communicator"));
  }).join();
}

TEST(LastError, OfAnEarlierMistakeDoesNotHideTheFailure) {
  Ranks ranks(2);
  EXPECT_EQ(call(Case{}, nullptr, nullptr, 10, ranks[0]), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("sendbuff is NULL"));
  EXPECT_EQ(signcclCommAbort(ranks[1]), signcclSuccess);
  awaitFailure(ranks[0]);
  EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("rank 1 aborted"));
  EXPECT_EQ(call(Case{}, nullptr, nullptr, 10, ranks[0]), signcclInvalidArgument);
  EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("sendbuff is NULL")) << "the last error is the last";
}

TEST(LastError, OfARequestIsNotedAtItsCommunicator) {
  Ranks ranks(2);
  std::vector<float> data(100, 1.0F);
  signcclRequest_t request = nullptr;
  ASSERT_EQ(signcclAllReduceVoteAsync(data.data(), data.data(), data.size(), signcclFloat32, signcclFloat32, nullptr,
                                      ranks[0], nullptr, &request),
            signcclSuccess);
  EXPECT_EQ(signcclCommAbort(ranks[1]), signcclSuccess);
  EXPECT_EQ(signcclRequestWait(&request), signcclRemoteError);
  std::jthread([&] { EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("rank 1 aborted")); }).join();
}

TEST(LastError, OfAGroupIsNotedAtTheCommunicatorThatItConcerns) {
  Ranks healthy(1);
  Ranks ranks(2);
  std::vector<float> data(100, 1.0F);
  std::vector<float> other(100, 1.0F);
  signcclGroupStart();
  call(Case{}, other.data(), other.data(), other.size(), healthy[0]);
  call(Case{}, data.data(), data.data(), data.size(), ranks[0]);
  EXPECT_EQ(signcclCommAbort(ranks[1]), signcclSuccess);
  EXPECT_EQ(signcclGroupEnd(), signcclRemoteError);
  EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("rank 1 aborted"));
  EXPECT_STREQ(signcclGetLastError(healthy[0]), "");
}

}  // namespace
}  // namespace signccl
