// SPDX-License-Identifier: Apache-2.0
// Sums on streams whose outcome nobody asks for, and what goes wrong with any: all ranks learn it, no stream is left
// waiting, and nothing is written that is no sum.
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "stream_sum_job.h"
#include "support/sanitizers.h"

namespace signccl {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr SumShape kShape{ElementType::kFloat32, 20'000, signcclZeroBinary, true};

/// Signs, or signs with a 2.
std::vector<std::byte> elements(bool is_spoiled, std::uint64_t seed = 1) {
  std::vector<std::byte> all = signsFor(kShape, seed);
  if (is_spoiled) putNumber(kShape.type, 2, all.data(), 777);
  return all;
}

std::vector<std::byte> timesTwo(const std::vector<std::byte>& signs) {
  return referenceSum(kShape.type, kShape.count, std::vector{signs.data(), signs.data()});
}

/// Holds a stream up until release().
class Gate {
 public:
  explicit Gate(const Stream& stream) { holdStream(stream.get(), is_open_); }
  ~Gate() { release(); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  void release() { is_open_ = true; }

 private:
  std::atomic<bool> is_open_ = false;
};

/// Waits until the communicator has failed.
signcclResult_t failureOf(signcclComm_t comm) {
  signcclResult_t state = signcclSuccess;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (state == signcclSuccess || state == signcclInProgress) {
    EXPECT_EQ(signcclCommGetAsyncError(comm, &state), signcclSuccess);
    if (std::chrono::steady_clock::now() > end) return signcclSuccess;
    std::this_thread::yield();
  }
  return state;
}

using TrustedSumTest = StreamTest;

TEST_F(TrustedSumTest, TheCallReturnsBeforeItsStreamComesToIt) {
  Ranks ranks(2);
  std::atomic<int> returned = 0;
  ranks.inThreads([&](int /*rank*/, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Stream stream;
    const std::vector<std::byte> signs = elements(false);
    SumBuffers first(kShape, Place::kDevice, 0, signs);
    SumBuffers second(kShape, Place::kDevice, 1, signs);
    ASSERT_EQ(first.call(comm, stream.get(), nullptr), signcclSuccess) << signcclGetLastError(nullptr);
    stream.synchronize();
    Gate gate(stream);
    ASSERT_EQ(second.call(comm, stream.get(), nullptr), signcclSuccess) << signcclGetLastError(nullptr);
    EXPECT_TRUE(cuStreamQuery(stream.get()) == CudaResult::kNotReady);
    ++returned;
    while (returned < 2) std::this_thread::yield();
    gate.release();
    stream.synchronize();
    EXPECT_EQ(first.result(), timesTwo(signs));
    EXPECT_EQ(second.result(), timesTwo(signs));
  });
}

TEST_F(TrustedSumTest, AValueThatIsNoSignFailsAllRanksAndNamesItsRank) {
  for (const bool has_host_rank : {false, true}) {
    Ranks ranks(3);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      const CurrentDevice current(0);
      const Stream stream;
      const bool is_host = has_host_rank && rank == 0;
      SumBuffers buffers(kShape, is_host ? Place::kHost : Place::kDevice, 0, elements(rank == 1));
      const signcclResult_t result = buffers.call(comm, stream.get(), nullptr);
      stream.synchronize();
      // The failure of a rank may be there before another one has enqueued its back.
      EXPECT_THAT(result, AnyOf(is_host ? signcclInvalidArgument : signcclSuccess, signcclInvalidArgument));
      EXPECT_EQ(failureOf(comm), signcclInvalidArgument);
      EXPECT_THAT(signcclGetLastError(comm), AllOf(HasSubstr("sendbuff of rank 1"), HasSubstr("expected -1 and +1")));
      EXPECT_TRUE(buffers.isUntouched()) << "rank " << rank;
    });
  }
}

TEST_F(TrustedSumTest, ARankThatTrustsFailsWhereAnotherOneOnlyAsks) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Stream stream;
    SumBuffers buffers(kShape, Place::kDevice, 0, elements(rank == 0));
    signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
    const signcclResult_t result = buffers.call(comm, stream.get(), rank == 0 ? &outcome : nullptr);
    stream.synchronize();
    EXPECT_THAT(result, AnyOf(signcclSuccess, signcclInvalidArgument));
    EXPECT_EQ(outcome.isWritten, 0);
    EXPECT_EQ(failureOf(comm), signcclInvalidArgument);
    EXPECT_THAT(signcclGetLastError(comm), HasSubstr("another rank than rank 1"));
    EXPECT_TRUE(buffers.isUntouched()) << "rank " << rank;
  });
}

TEST_F(TrustedSumTest, CallsOfAGroupAreTrustedEachForItself) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Stream stream;
    const std::vector<std::byte> signs = elements(false);
    SumBuffers trusted(kShape, Place::kDevice, 0, signs);
    SumBuffers asked(kShape, Place::kDevice, 0, elements(rank == 1));
    signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
    ASSERT_EQ(signcclGroupStart(), signcclSuccess);
    ASSERT_EQ(trusted.call(comm, stream.get(), nullptr), signcclSuccess);
    ASSERT_EQ(asked.call(comm, stream.get(), &outcome), signcclSuccess);
    ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
    stream.synchronize();
    EXPECT_EQ(trusted.result(), timesTwo(signs));
    EXPECT_TRUE(asked.isUntouched());
    EXPECT_EQ(outcome.isWritten, 0);
    EXPECT_EQ(outcome.firstIndex, rank == 1 ? 777 : -1);
  });
}

TEST_F(TrustedSumTest, ARankOnADeviceCannotKeepWhatAHostDiscards) {
  const Environment environment{{"SIGNCCL_SLICE_BYTES", "512"}};
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Stream stream;
    SumShape shape = kShape;
    shape.misfit = rank == 0 ? signcclMisfitDiscard : signcclMisfitKeep;
    SumBuffers buffers(shape, rank == 0 ? Place::kHost : Place::kDevice, 0, elements(false));
    signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
    EXPECT_EQ(buffers.call(comm, stream.get(), &outcome), signcclInvalidUsage);
    stream.synchronize();
    EXPECT_THAT(signcclGetLastError(comm), AllOf(HasSubstr("0 (keep) on rank 1"), HasSubstr("1 (discard) on a rank")));
  });
}

TEST_F(TrustedSumTest, AnAbortEndsSumsWithoutElements) {
  for (const bool is_asked : {true, false}) {
    Ranks ranks(2);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      const CurrentDevice current(0);
      const Stream stream;
      if (rank == 1) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        EXPECT_EQ(signcclCommAbort(comm), signcclSuccess);
        return;
      }
      signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
      EXPECT_EQ(signcclAllReduceSum(nullptr, nullptr, 0, signcclInt8, nullptr, comm, stream.get(),
                                    is_asked ? &outcome : nullptr),
                signcclRemoteError);
    });
  }
}

class StreamSumFaultsTest : public StreamTest {
 protected:
  const Environment environment_{{"SIGNCCL_TIMEOUT", "1"}};
};

TEST_F(StreamSumFaultsTest, AHostThatWaitsForAStreamThatNeverComesHasADeadline) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const Stream stream;
  SumBuffers buffers(kShape, Place::kDevice, 0, elements(false));
  signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
  ASSERT_EQ(buffers.call(ranks[0], stream.get(), &outcome), signcclSuccess) << signcclGetLastError(nullptr);
  Gate gate(stream);
  EXPECT_EQ(buffers.call(ranks[0], stream.get(), &outcome), signcclTimeout);
  EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("rank 0 waited 1000 ms for the stream"));
  gate.release();
  stream.synchronize();
}

TEST_F(StreamSumFaultsTest, ADeviceThatDiesEndsTheWait) {
  const Environment environment{{"SIGNCCL_TIMEOUT", "100"}};
  Ranks ranks(1);
  const CurrentDevice current(0);
  const Stream stream;
  SumBuffers buffers(kShape, Place::kDevice, 0, elements(false));
  signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
  ASSERT_EQ(buffers.call(ranks[0], stream.get(), &outcome), signcclSuccess) << signcclGetLastError(nullptr);
  Gate gate(stream);
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    fake_cuda::failStream(stream.get(), CudaResult::kLaunchFailed);
    gate.release();
  });
  EXPECT_EQ(buffers.call(ranks[0], stream.get(), &outcome), signcclUnhandledCudaError);
  killer.join();
}

/// A sum of which call `number` of the driver fails. True if so many calls were not made.
bool sumWithFailingCall(long number, bool is_spoiled) {
  fake_cuda::reset();
  expectCuda(cuInit(0));
  Ranks ranks(1);
  const CurrentDevice current(0);
  bool made_fewer = false;
  {
    const Stream stream;
    const std::vector<std::byte> input = elements(is_spoiled);
    SumBuffers buffers(kShape, Place::kDevice, 0, input);
    signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
    // What the first call of a device makes is tested with votes.
    EXPECT_EQ(buffers.call(ranks[0], stream.get(), &outcome), signcclSuccess) << signcclGetLastError(nullptr);
    const long before = fake_cuda::callsMade();
    fake_cuda::failCall(number, CudaResult::kLaunchFailed);
    const signcclResult_t result = buffers.call(ranks[0], stream.get(), &outcome);
    made_fewer = fake_cuda::callsMade() - before < number;
    fake_cuda::failCall(0, CudaResult::kSuccess);
    cuStreamSynchronize(stream.get());
    EXPECT_EQ(buffers.result(), input) << "call " << number;  // which is also the sum of one rank
    if (result == signcclSuccess) {
      EXPECT_EQ(outcome.isWritten, is_spoiled ? 0 : 1) << "call " << number;
    } else {
      EXPECT_THAT(signcclGetLastError(ranks[0]), HasSubstr("cu")) << "call " << number;
    }
  }
  return made_fewer;
}

TEST_F(StreamSumFaultsTest, EveryCallOfTheDriverMayFail) {
  for (const bool is_spoiled : {false, true}) {
    failEveryCall(kSanitized ? 3 : 1, 10, [&](long number) { return sumWithFailingCall(number, is_spoiled); });
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace signccl
