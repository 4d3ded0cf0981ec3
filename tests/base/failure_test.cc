// SPDX-License-Identifier: Apache-2.0
#include "base/failure.h"

#include <new>
#include <system_error>

#include <gtest/gtest.h>

#include "base/error.h"

namespace signccl {
namespace {

template <typename Thrown>
Failure failureOfThrown(const Thrown& thrown) {
  return failureOf(std::make_exception_ptr(thrown));
}

TEST(FailureOf, KeepsCodeAndTextOfAnError) {
  const Failure failure = failureOfThrown(Error(signcclTimeout, "rank 1 waited 5 ms for rank 0"));
  EXPECT_EQ(failure.code, signcclTimeout);
  EXPECT_EQ(failure.message, "rank 1 waited 5 ms for rank 0");
}

TEST(FailureOf, CallsMemoryAndThreadsSystemErrors) {
  EXPECT_EQ(failureOfThrown(std::bad_alloc()).code, signcclSystemError);
  EXPECT_EQ(failureOfThrown(std::bad_alloc()).message, "out of memory");
  const auto no_thread = std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  EXPECT_EQ(failureOfThrown(no_thread).code, signcclSystemError);
  EXPECT_NE(failureOfThrown(no_thread).message, "");
}

TEST(FailureOf, TakesWhateverACallbackOfTheProgramThrows) {
  EXPECT_EQ(failureOfThrown(std::runtime_error("odd")).code, signcclInternalError);
  EXPECT_EQ(failureOfThrown(std::runtime_error("odd")).message, "odd");
  EXPECT_EQ(failureOfThrown(42).code, signcclInternalError);
  EXPECT_NE(failureOfThrown(42).message, "");
}

TEST(FailureOr, KeepsTheShortTextWhereMakingTheLongOneThrows) {
  const auto made = failureOr(signcclTimeout, "short", [] { return Failure{signcclRemoteError, "a longer text"}; });
  EXPECT_EQ(made.code, signcclRemoteError);
  EXPECT_EQ(made.message, "a longer text");
  const auto fallen_back = failureOr(signcclTimeout, "short", []() -> Failure { throw std::bad_alloc(); });
  EXPECT_EQ(fallen_back.code, signcclTimeout);
  EXPECT_EQ(fallen_back.message, "short");
}

TEST(OnRanks, GivesBothValuesWithTheirRanks) {
  EXPECT_EQ(rankName(7), "rank 7");
  EXPECT_EQ(onRanks("5", 0, "6", 2), "5 on rank 0 and 6 on rank 2");
}

TEST(RankList, NamesAFewRanksAndCountsTheRest) {
  EXPECT_EQ(rankNames({}), "");
  EXPECT_EQ(rankNames({2}), "rank 2");
  EXPECT_EQ(rankNames({2, 3}), "ranks 2 and 3");
  EXPECT_EQ(rankNames({1, 2, 3}), "ranks 1, 2 and 3");
  EXPECT_EQ(rankNames({4, 7}), "ranks 4 and 7");
  EXPECT_EQ(rankNames({0, 1, 2, 3, 4, 5, 6, 7, 8}), "ranks 0, 1, 2, 3, 4, 5, 6, 7 and 8");
  EXPECT_EQ(rankNames({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}), "ranks 0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
  EXPECT_EQ(rankNames({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}), "ranks 0, 1, 2, 3, 4, 5, 6, 7 and 3 more");
}

}  // namespace
}  // namespace signccl
