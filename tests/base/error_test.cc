// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <gmock/gmock.h>

namespace signccl {
namespace {

TEST(ErrorTest, ErrorKeepsCodeAndMessage) {
  const Error error(signcclTimeout, "rank 3 is late");
  EXPECT_EQ(error.code(), signcclTimeout);
  EXPECT_STREQ(error.what(), "rank 3 is late");
}

TEST(ErrorTest, RequireThrowsOnlyIfTheConditionFails) {
  EXPECT_NO_THROW(require(true, "sendbuff is null"));
  try {
    require(false, "sendbuff is null");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), signcclInvalidArgument);
    EXPECT_STREQ(e.what(), "sendbuff is null");
  }
}

TEST(ErrorTest, BrokenInvariantNamesItsConditionAndPlace) {
  EXPECT_NO_THROW(SIGNCCL_ASSERT(1 + 1 == 2));
  try {
    SIGNCCL_ASSERT(1 + 1 == 3);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), signcclInternalError);
    EXPECT_THAT(e.what(), testing::AllOf(testing::HasSubstr("1 + 1 == 3"), testing::HasSubstr("error_test.cc:")));
  }
}

}  // namespace
}  // namespace signccl
