// Running out of memory while messages come and go: an exception out of progress() or recv(), never one through the
// frames of UCX, and what UCX lent is given back.
#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/allocation_counter.h"
#include "support/sanitizers.h"
#include "transport/ucx/ucx_transport.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::Not;

/// What a rank does that gets messages of three kinds, half of them before their receives, when the n-th allocation
/// fails. True if it failed.
class MemoryJob {
 public:
  MemoryJob() {
    for (const Rank rank : {0, 1}) ranks_.push_back(std::make_unique<UcxTransport>(UcxContext::open(""), rank, 2));
    for (const auto& rank : ranks_) rank->setAddresses({ranks_[0]->address(), ranks_[1]->address()});
  }

  bool failsAt(std::size_t n) {
    for (std::size_t i = 0; i < kMessages; ++i) ranks_[0]->send(1, {.exchange = i}, sent_[i % 3], sends_[i]);
    bool has_failed = false;
    try {
      failAllocation(n);
      receive(0, kMessages / 2);
      progress();
      receive(kMessages / 2, kMessages);
      progress();
    } catch (const std::bad_alloc&) {
      has_failed = true;
    } catch (const Error& error) {
      has_failed = true;
      EXPECT_THAT(error.what(), HasSubstr("rank 1 had no memory left"));
    }
    failAllocation(0);
    return has_failed;
  }

  /// Ends both ranks; fails the test if UCX misses memory that was not given back, which it says on standard output.
  void end() {
    testing::internal::CaptureStdout();
    ranks_.clear();
    EXPECT_THAT(testing::internal::GetCapturedStdout(), Not(HasSubstr("was not returned to mpool")));
  }

 private:
  static constexpr std::size_t kMessages = 60;

  void receive(std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
      ranks_[1]->recv(0, {.exchange = i}, got_[i], i % 2 == 0 ? Landing::kBorrow : Landing::kCopy, receives_[i]);
    }
  }

  /// Only rank 1 allocates under the failing allocator.
  void progress() {
    const auto end = steady_clock::now() + 20ms;
    while (steady_clock::now() < end) ranks_[1]->progress(completed_);
  }

  std::vector<std::vector<std::byte>> sent_ = {std::vector<std::byte>(100), std::vector<std::byte>(5000),
                                               std::vector<std::byte>(100'000)};
  std::vector<std::vector<std::byte>> got_ = [this] {
    std::vector<std::vector<std::byte>> got;
    for (std::size_t i = 0; i < kMessages; ++i) got.emplace_back(sent_[i % 3].size());
    return got;
  }();
  std::vector<Request> sends_ = std::vector<Request>(kMessages);
  std::vector<Request> receives_ = std::vector<Request>(kMessages);
  std::vector<Request*> completed_;
  std::vector<std::unique_ptr<UcxTransport>> ranks_;
};

TEST(UcxOutOfMemoryTest, NoExceptionCrossesUcxWhicheverAllocationFails) {
  if (kSanitized) GTEST_SKIP() << "sanitizers have an operator new of their own";
  bool has_failed = true;
  for (std::size_t n = 1; has_failed; ++n) {
    MemoryJob job;
    has_failed = job.failsAt(n);
    job.end();
    ASSERT_LT(n, 1000U) << "every allocation fails, however many there were";
    EXPECT_TRUE(has_failed || n > 5) << "the test needs allocations that fail";
  }
}

}  // namespace
}  // namespace signccl
