// SPDX-License-Identifier: Apache-2.0
// Running out of memory while messages come and go: an exception out of progress() or recv(), never one through the
// frames of UCX, and what UCX lent is given back.
#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/allocation_counter.h"
#include "support/sanitizers.h"
#include "transport/ucx/tcp_context.h"
#include "transport/ucx/ucx_transport.h"

namespace signccl {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::Not;

/// Two ranks, connected; one sends the other messages of three kinds, half of which come before their receives.
class MemoryJob {
 public:
  MemoryJob(const std::shared_ptr<UcxContext>& context, std::array<std::size_t, 3> sizes) {
    for (const std::size_t size : sizes) sent_.emplace_back(size);
    for (std::size_t i = 0; i < kMessages; ++i) got_.emplace_back(sizes.at(i % 3));
    for (const Rank rank : {0, 1}) ranks_.push_back(std::make_unique<UcxTransport>(context, rank, 2));
    for (const auto& rank : ranks_) rank->setAddresses({ranks_[0]->address(), ranks_[1]->address()});
    // What is sent before the connection stands arrives much later.
    Request send;
    Request receive;
    ranks_[1]->recv(0, {.exchange = kMessages}, got_[0], Landing::kCopy, receive);
    ranks_[0]->send(1, {.exchange = kMessages}, sent_[0], send);
    const auto deadline = steady_clock::now() + 60s;
    while (completed_.size() < 2 && steady_clock::now() < deadline) progress();
    EXPECT_EQ(completed_.size(), 2U) << "the ranks do not get connected";
  }

  /// Whether something failed when the n-th allocation did.
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
      EXPECT_THAT(error.what(), HasSubstr("had no memory left when a message came or went"));
      has_failed_in_callback_ = true;
    }
    failAllocation(0);
    return has_failed;
  }

  /// Whether that was in a callback from UCX.
  [[nodiscard]] bool hasFailedInCallback() const { return has_failed_in_callback_; }

  /// Ends both ranks; fails the test if UCX misses memory that was not given back, which it says on standard output.
  void end() {
    testing::internal::CaptureStdout();
    // After a failure, as the executor says it, nobody waits for messages to leave.
    for (const auto& rank : ranks_) rank->keepAlive(std::make_shared<int>(0));
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

  void progress() {
    for (int turn = 0; turn < 300; ++turn) {
      for (const auto& rank : ranks_) rank->progress(completed_);
    }
  }

  std::vector<std::vector<std::byte>> sent_;
  std::vector<std::vector<std::byte>> got_;
  std::vector<Request> sends_ = std::vector<Request>(kMessages);
  std::vector<Request> receives_ = std::vector<Request>(kMessages);
  std::vector<Request*> completed_;
  bool has_failed_in_callback_ = false;
  std::vector<std::unique_ptr<UcxTransport>> ranks_;
};

/// Runs jobs in which the first allocation fails, the second, ..., until there are not so many.
void failEveryAllocation(const std::shared_ptr<UcxContext>& context, const std::array<std::size_t, 3>& sizes) {
  if (kSanitized) GTEST_SKIP() << "sanitizers have an operator new of their own";
  bool has_failed = true;
  int callbacks = 0;
  for (std::size_t n = 1; has_failed; ++n) {
    MemoryJob job(context, sizes);
    has_failed = job.failsAt(n);
    job.end();
    callbacks += job.hasFailedInCallback() ? 1 : 0;
    ASSERT_LT(n, 1000U) << "every allocation fails, however many there were";
  }
  EXPECT_GT(callbacks, 0) << "the test needs allocations in callbacks that fail";
}

TEST(UcxOutOfMemoryTest, NoExceptionCrossesUcxOverSharedMemory) {
  failEveryAllocation(UcxContext::open(""), {100, 5000, 3000});
}

TEST(UcxOutOfMemoryTest, NoExceptionCrossesUcxOverTcp) { failEveryAllocation(tcpContext(), {100, 5000, 1'000'000}); }

}  // namespace
}  // namespace signccl
