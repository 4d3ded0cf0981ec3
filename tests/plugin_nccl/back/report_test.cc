// SPDX-License-Identifier: Apache-2.0
// What the report says of calls that were taken, and of those that could not be.
#include <atomic>
#include <chrono>
#include <latch>
#include <string>
#include <thread>

#include "logged_interposer.h"

namespace signccl::nccl_preload {
namespace {

/// Bytes that a rank sends in a vote of two ranks: its signs to the other one, in words of 64.
constexpr std::uint64_t kBytesOfVote = (Member::kCount + 63) / 64 * 8;

/// How votes of buffers on devices travel: docs/settings.md has the values of SIGNCCL_TRANSPORT.
class SentBytesTest : public InterposerTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(SentBytesTest, AllCallsCountAlsoThoseBehindWhichNoneIsTaken) {
  const Environment environment{{"SIGNCCL_TRANSPORT", GetParam()}};
  const auto interposer = makeInterposer(kVotes);
  asRanks(2, *interposer, [](int /*rank*/, Member& member) {
    for (int call = 0; call < 3; ++call) {
      ASSERT_EQ(member.allReduceOf(1.F), Result::kSuccess) << member.lastError();
    }
  });
  EXPECT_EQ(interposer->report().counters(0).sent_bytes, 6 * kBytesOfVote) << "2 ranks, 3 calls";
}

INSTANTIATE_TEST_SUITE_P(Transports, SentBytesTest, ::testing::Values("host", "nccl"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST_F(InterposerTest, BytesOfCommunicatorsThatAreNeverDestroyedAreCountedAtTheEnd) {
  const Environment environment{{"SIGNCCL_TRANSPORT", "nccl"}};
  LoggedInterposer interposer(kVotes);
  asRanks(2, *interposer, [&](int /*rank*/, Member& member) {
    ASSERT_EQ(member.allReduceOf(1.F), Result::kSuccess) << member.lastError();
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (interposer->report().counters(0).sent_bytes < 2 * kBytesOfVote && std::chrono::steady_clock::now() < limit) {
      interposer->end();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  EXPECT_EQ(interposer->report().counters(0).sent_bytes, 2 * kBytesOfVote);
}

/// Of a communicator of 2 ranks that says it has more, once its ranks have compared their rules.
std::atomic<int> told_ranks = 2;
Result toldRanks(Comm /*comm*/, int* count) {
  *count = told_ranks;
  return Result::kSuccess;
}

TEST_F(InterposerTest, ASumOfMoreRanksThanItsTypeHoldsIsForwardedAndTheReasonSaidOnce) {
  RealNccl functions = fakeFunctions();
  functions.ncclCommCount = toldRanks;
  told_ranks = 2;
  std::latch compared(2);
  LoggedInterposer interposer(oneRule(R"("count": {"min": 100}, "type": "int8")", "sign_sum", ""), functions);
  asRanks(
      2, *interposer,
      [&](int /*rank*/, Member& member) {
        member.awaitIdle();
        compared.arrive_and_wait();
        told_ranks = 128;
        for (int call = 0; call < 3; ++call) {
          member.awaitIdle();
          const Result result = member.allReduceOfInt8(1);
          ASSERT_TRUE(result == Result::kSuccess || result == Result::kInProgress) << member.lastError();
          member.awaitIdle();
          EXPECT_EQ(member.getInt8(), 2);
        }
      },
      withoutBlocking());
  EXPECT_EQ(fake_nccl::allReduces(), 6);
  EXPECT_EQ(interposer->report().counters(0).forwarded, 6U);
  EXPECT_EQ(interposer.linesWith("the sum of signs in int8 is exact up to 127 ranks, and there are 128"), 1);
}

}  // namespace
}  // namespace signccl::nccl_preload
