// SPDX-License-Identifier: Apache-2.0
// What goes wrong: peers, deadlines, aborts and CUDA itself. Every stream drains in time, no output is garbage, and
// everybody learns why.
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "stream_job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr std::size_t kCount = 100'000;
constexpr std::byte kUntouched{0x77};

class StreamFaultsTest : public StreamTest {
 protected:
  const Environment environment_{{"SIGNCCL_TIMEOUT", "1"}};
};

/// A vote on device memory whose outcome is looked at.
class Vote {
 public:
  Vote() : send_(kCount * sizeof(float)), recv_(kCount * sizeof(float)) {
    std::vector<float> values(kCount, -1.0F);
    send_.put(std::as_bytes(std::span(values)));
    clear();
  }
  void clear() { recv_.put(std::vector<std::byte>(kCount * sizeof(float), kUntouched)); }
  signcclResult_t call(signcclComm_t comm) {
    return callOn({}, send_.data(), recv_.data(), kCount, comm, stream_.get());
  }
  [[nodiscard]] const Stream& stream() const { return stream_; }

  /// True if every element is untouched, or -1, the result.
  [[nodiscard]] bool isUntouchedOrResult() {
    const std::vector<std::byte> bytes = recv_.get();
    for (std::size_t i = 0; i < kCount; ++i) {
      float value = 0;
      std::memcpy(&value, &bytes[i * sizeof(float)], sizeof(float));
      const bool is_untouched = std::all_of(&bytes[i * sizeof(float)], &bytes[i * sizeof(float)] + sizeof(float),
                                            [](std::byte byte) { return byte == kUntouched; });
      if (!is_untouched && value != -1.0F) return false;
    }
    return true;
  }
  [[nodiscard]] bool isUntouched() { return recv_.get() == std::vector<std::byte>(kCount * sizeof(float), kUntouched); }

 private:
  DeviceBuffer send_;
  DeviceBuffer recv_;
  Stream stream_;
};

signcclResult_t stateOf(signcclComm_t comm) {
  signcclResult_t state = signcclSuccess;
  EXPECT_EQ(signcclCommGetAsyncError(comm, &state), signcclSuccess);
  return state;
}

/// What destroying the ranks of `ranks` is about: they have failed.
void expectFailed(signcclComm_t comm, signcclResult_t code, const std::string& text) {
  EXPECT_EQ(stateOf(comm), code);
  EXPECT_THAT(signcclGetLastError(comm), HasSubstr(text));
}

TEST_F(StreamFaultsTest, AStreamDrainsWhenAPeerNeverCalls) {
  Ranks ranks(2);
  const CurrentDevice current(0);
  Vote vote;
  // Both are ranks of this process, so the other one must come before the back is enqueued. The exchange has the same
  // deadline, and whichever is seen first is reported.
  EXPECT_EQ(vote.call(ranks[0]), signcclTimeout);
  EXPECT_THAT(signcclGetLastError(ranks[0]),
              AnyOf(HasSubstr("the other ranks of its process"), HasSubstr("for rank 1 in exchange number 0")));
  vote.stream().synchronize();
  EXPECT_TRUE(vote.isUntouched());
}

TEST_F(StreamFaultsTest, AbortDrainsTheStreamsOfAllRanks) {
  Ranks ranks(3);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    Vote vote;
    if (rank == 2) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
      return;
    }
    EXPECT_EQ(vote.call(comm), signcclRemoteError);
    vote.stream().synchronize();
    EXPECT_TRUE(vote.isUntouched());
    expectFailed(comm, signcclRemoteError, "rank 2 aborted");
  });
}

TEST_F(StreamFaultsTest, AStreamThatNeverPostsIsNamedByThoseWhoWait) {
  Ranks ranks(2);
  std::atomic<bool> may_go_on = false;
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    Vote vote;
    EXPECT_EQ(vote.call(comm), signcclSuccess);  // the first call of a device loads kernels, and may wait for streams
    vote.stream().synchronize();
    vote.clear();
    if (rank == 1) {
      holdStream(vote.stream().get(), may_go_on);
    }
    EXPECT_EQ(vote.call(comm), signcclSuccess) << signcclGetLastError(nullptr);
    if (rank == 0) {
      vote.stream().synchronize();
      expectFailed(comm, signcclTimeout, "rank 0 waited 1000 ms for rank 1");
      may_go_on = true;
    }
    vote.stream().synchronize();
    EXPECT_TRUE(vote.isUntouched()) << "rank " << rank;
    EXPECT_EQ(stateOf(comm), signcclTimeout);
  });
}

TEST_F(StreamFaultsTest, CallsWithoutElementsAndAnAbortLeaveNothingToTheNextCommunicator) {
  for (int turn = 0; turn < 3; ++turn) {
    {
      Ranks ranks(2);
      ranks.inThreads([&](int rank, signcclComm_t comm) {
        const CurrentDevice current(0);
        const Stream stream;
        const DeviceBuffer buffer(8);
        for (const SignOp op : {SignOp::kVote, SignOp::kAvg}) {
          EXPECT_EQ(callOn({.op = op}, buffer.data(), buffer.data(), 0, comm, stream.get()), signcclSuccess)
              << signcclGetLastError(nullptr);
        }
        if (rank == turn % 2) {
          EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
        } else {
          EXPECT_THAT(callOn({}, buffer.data(), buffer.data(), 0, comm, stream.get()),
                      AnyOf(signcclSuccess, signcclRemoteError));
        }
        stream.synchronize();
      });
    }
    {
      Ranks ranks(2);
      ranks.inThreads([&](int /*rank*/, signcclComm_t comm) {
        const CurrentDevice current(0);
        Vote vote;
        EXPECT_EQ(vote.call(comm), signcclSuccess) << signcclGetLastError(nullptr);
        vote.stream().synchronize();
        EXPECT_TRUE(vote.isUntouchedOrResult());
        EXPECT_FALSE(vote.isUntouched());
      });
    }
    if (turn == 1) begin({});  // another machine
  }
}

TEST_F(StreamFaultsTest, WhatACallThatFailedHasEnqueuedKeepsItsMemory) {
  Ranks ranks(2);
  std::atomic<bool> is_calling = false;
  std::atomic<bool> may_go_on = false;
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    Vote vote;
    EXPECT_EQ(vote.call(comm), signcclSuccess);
    vote.stream().synchronize();
    if (rank == 1) {
      while (!is_calling) std::this_thread::yield();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // rank 0 waits for this rank now
      EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
      return;
    }
    holdStream(vote.stream().get(), may_go_on);
    is_calling = true;
    EXPECT_NE(vote.call(comm), signcclSuccess);
    std::thread releaser([&] {
      for (int i = 0; i < 50 && !may_go_on; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
      may_go_on = true;
    });
    EXPECT_EQ(signcclCommDestroy(comm), signcclSuccess);
    ranks[0] = nullptr;
    EXPECT_FALSE(may_go_on.exchange(true)) << "the communicator waited for the stream";
    releaser.join();
    vote.stream().synchronize();
  });
}

TEST_F(StreamFaultsTest, RanksThatDisagreeAllLearnIt) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const DeviceBuffer buffer(kCount * sizeof(float));
    const Stream stream;
    const std::size_t count = rank == 0 ? kCount : kCount - 1;
    const signcclResult_t result = callOn({}, buffer.data(), buffer.data(), count, comm, stream.get());
    EXPECT_THAT(result, AnyOf(signcclSuccess, signcclInvalidUsage));
    stream.synchronize();
    expectFailed(comm, signcclInvalidUsage, "count is");
  });
}

TEST_F(StreamFaultsTest, ADeadStreamFailsItsRankAndTheOthersAreTold) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    Vote vote;
    if (rank == 1) fake_cuda::failStream(vote.stream().get(), CudaResult::kLaunchFailed);
    const signcclResult_t result = vote.call(comm);
    if (rank == 1) {
      EXPECT_EQ(result, signcclUnhandledCudaError);
      EXPECT_THAT(signcclGetLastError(nullptr), HasSubstr("CUDA_ERROR_LAUNCH_FAILED"));
      return;
    }
    EXPECT_THAT(result, AnyOf(signcclSuccess, signcclUnhandledCudaError));
    vote.stream().synchronize();
    EXPECT_TRUE(vote.isUntouched());
    expectFailed(comm, signcclUnhandledCudaError, "CUDA_ERROR_LAUNCH_FAILED");
  });
}

TEST_F(StreamFaultsTest, ACommunicatorWhoseDeviceIsDeadFailsAndCanBeDestroyed) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  Vote vote;
  ASSERT_EQ(vote.call(ranks[0]), signcclSuccess);
  vote.stream().synchronize();
  fake_cuda::failContext(0, CudaResult::kLaunchFailed);
  EXPECT_EQ(vote.call(ranks[0]), signcclUnhandledCudaError);
  expectFailed(ranks[0], signcclUnhandledCudaError, "CUDA_ERROR_LAUNCH_FAILED");
  EXPECT_EQ(signcclCommDestroy(ranks[0]), signcclSuccess);
  ranks[0] = nullptr;
}

/// Runs one vote of two ranks in which a call of CUDA fails. True if it was never reached.
bool voteWithFailingCall(long number) {
  fake_cuda::reset();
  expectCuda(cuInit(0));
  bool was_reached = false;
  {
    Ranks ranks(2);
    const CurrentDevice current(0);
    Vote first;
    Vote second;
    // The first call of a device makes more calls than the later ones.
    fake_cuda::failCall(number, CudaResult::kOutOfMemory);
    const long before = fake_cuda::callsMade();
    EXPECT_EQ(signcclGroupStart(), signcclSuccess);
    const signcclResult_t noted[] = {first.call(ranks[0]), second.call(ranks[1])};
    const signcclResult_t result = signcclGroupEnd();
    was_reached = fake_cuda::callsMade() - before >= number;
    fake_cuda::failCall(0, CudaResult::kSuccess);
    const bool went_well = noted[0] == signcclSuccess && noted[1] == signcclSuccess && result == signcclSuccess;
    if (!went_well) {
      EXPECT_STRNE(signcclGetLastError(nullptr), "") << "call " << number;
      for (int rank = 0; rank < 2; ++rank) signcclCommAbort(ranks[rank]);
    }
    first.stream().synchronize();
    second.stream().synchronize();
    EXPECT_TRUE(first.isUntouchedOrResult()) << "call " << number;
    EXPECT_TRUE(second.isUntouchedOrResult()) << "call " << number;
  }
  return !was_reached;
}

TEST_F(StreamFaultsTest, WhateverCallOfCudaFailsStreamsDrainAndNoOutputIsGarbage) {
  failEveryCall(kSanitized ? 9 : 1, 20, voteWithFailingCall);  // a sanitizer takes five times as long
}

}  // namespace
}  // namespace signccl
