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

TEST(RankList, NamesAFewRanksAndCountsTheRest) {
  EXPECT_EQ(rankList({2}), "2");
  EXPECT_EQ(rankList({2, 3}), "2 and 3");
  EXPECT_EQ(rankList({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}), "0, 1, 2, 3, 4, 5, 6, 7 and 3 more");
}

}  // namespace
}  // namespace signccl
