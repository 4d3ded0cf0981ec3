// SPDX-License-Identifier: Apache-2.0
#include "base/descriptors.h"

#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/error.h"

namespace signccl {
namespace {

/// Few descriptors may be open; all that the test opens are closed at its end.
class DescriptorsTest : public testing::Test {
 protected:
  DescriptorsTest() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = kLimit;
    setrlimit(RLIMIT_NOFILE, &few);
  }
  ~DescriptorsTest() override {
    for (const int one : opened_) close(one);
    setrlimit(RLIMIT_NOFILE, &before_);
  }
  DescriptorsTest(const DescriptorsTest&) = delete;
  DescriptorsTest& operator=(const DescriptorsTest&) = delete;

  /// Opens descriptors until so many more may be opened.
  void leave(std::size_t nfree) {
    for (int one = dup(0); one >= 0; one = dup(0)) opened_.push_back(one);
    for (; nfree > 0; --nfree, opened_.pop_back()) close(opened_.back());
  }

  static std::string errorOf(std::size_t wanted) {
    try {
      requireDescriptors(wanted);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), signcclSystemError);
      return error.what();
    }
    return "";
  }

  static constexpr rlim_t kLimit = 60;
  rlimit before_{};
  std::vector<int> opened_;
};

TEST_F(DescriptorsTest, AreRequiredToBeFree) {
  for (const std::size_t nfree : {5U, 7U, 24U}) {  // a sanitizer takes two for itself
    leave(nfree);
    EXPECT_EQ(errorOf(nfree), "") << nfree;
    EXPECT_EQ(errorOf(nfree + 1), "too many open files: " + std::to_string(kLimit - nfree) +
                                      " of 60 that `ulimit -n` allows, expected room for " + std::to_string(nfree + 1) +
                                      " more");
  }
}

TEST_F(DescriptorsTest, AreCountedWhereNoneIsFree) {
  leave(0);
  EXPECT_EQ(tooManyOpenFiles(), "too many open files: 60 of 60 that `ulimit -n` allows");
}

}  // namespace
}  // namespace signccl
