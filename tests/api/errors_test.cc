// SPDX-License-Identifier: Apache-2.0
// Result codes in words, and the texts of handles that are none.
#include <cstddef>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "signccl/signccl.h"

namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ErrorsTest, EveryCodeHasASentenceOfItsOwn) {
  std::set<std::string> sentences;
  for (int code = 0; code < signcclNumResults; ++code) {
    sentences.insert(signcclGetErrorString(static_cast<signcclResult_t>(code)));
  }
  EXPECT_EQ(sentences.size(), static_cast<std::size_t>(signcclNumResults));
  EXPECT_STREQ(signcclGetErrorString(signcclNumResults), "unknown result code");
}

TEST(ErrorsTest, SentencesSendTheUserToTheLastError) {
  for (const auto code :
       {signcclSystemError, signcclInvalidArgument, signcclInvalidUsage, signcclRemoteError, signcclTimeout}) {
    EXPECT_THAT(signcclGetErrorString(code), HasSubstr("signcclGetLastError() tells"));
    EXPECT_THAT(signcclGetErrorString(code), Not(HasSubstr("SIGNCCL_DEBUG")));
  }
}

TEST(ErrorsTest, DestroyedCommunicatorIsNamedAnInvalidHandle) {
  signcclComm_t comm = nullptr;
  ASSERT_EQ(signcclCommInitAll(&comm, 1, nullptr), signcclSuccess);
  ASSERT_EQ(signcclCommDestroy(comm), signcclSuccess);
  int count = 0;
  EXPECT_EQ(signcclCommCount(comm, &count), signcclInvalidUsage);
  EXPECT_STREQ(signcclGetLastError(nullptr), "invalid communicator handle: destroyed or never created");
}

TEST(ErrorsTest, CompletedRequestIsNamedAnInvalidHandle) {
  signcclComm_t comm = nullptr;
  ASSERT_EQ(signcclCommInitAll(&comm, 1, nullptr), signcclSuccess);
  const float send = -2;
  float recv = 0;
  signcclRequest_t request = nullptr;
  ASSERT_EQ(
      signcclAllReduceVoteAsync(&send, &recv, 1, signcclFloat32, signcclFloat32, nullptr, comm, nullptr, &request),
      signcclSuccess);
  signcclRequest_t copy = request;
  EXPECT_EQ(signcclRequestWait(&request), signcclSuccess);
  EXPECT_EQ(signcclRequestWait(&copy), signcclInvalidUsage);
  EXPECT_STREQ(signcclGetLastError(nullptr), "invalid request handle: already completed or never created");
  EXPECT_EQ(signcclCommDestroy(comm), signcclSuccess);
}

TEST(ErrorsTest, UnknownTypeIsNamedWithItsNumber) {
  signcclComm_t comm = nullptr;
  ASSERT_EQ(signcclCommInitAll(&comm, 1, nullptr), signcclSuccess);
  float buffer = 0;
  EXPECT_EQ(signcclAllReduceVote(&buffer, &buffer, 1, static_cast<signcclDataType_t>(50), signcclFloat32, nullptr, comm,
                                 nullptr),
            signcclInvalidArgument);
  EXPECT_STREQ(signcclGetLastError(comm), "sendtype is 50, expected a signcclDataType_t");
  EXPECT_EQ(signcclCommDestroy(comm), signcclSuccess);
}

}  // namespace
