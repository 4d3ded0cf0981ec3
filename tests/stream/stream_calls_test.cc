// SPDX-License-Identifier: Apache-2.0
// How calls on streams behave: they return at once, keep the order of their streams, and work however ranks, streams
// and queues of the hardware are dealt out.
#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "stream_job.h"

namespace signccl {
namespace {

constexpr std::size_t kCount = 1'000;

std::vector<std::byte> bytesOf(const std::vector<float>& elements) {
  std::vector<std::byte> bytes(elements.size() * sizeof(float));
  std::memcpy(bytes.data(), elements.data(), bytes.size());
  return bytes;
}

/// A rank's buffers and stream, for votes on kCount equal elements.
class Voter {
 public:
  explicit Voter(float value) : send_(kCount * sizeof(float)), recv_(kCount * sizeof(float)) { set(value); }

  void set(float value) { send_.put(bytesOf(std::vector<float>(kCount, value))); }
  signcclResult_t vote(signcclComm_t comm, CudaStream stream = nullptr, int tie = signcclTieRandom) {
    return callOn({.tie = tie}, send_.data(), recv_.data(), kCount, comm, stream == nullptr ? stream_.get() : stream);
  }
  [[nodiscard]] const Stream& stream() const { return stream_; }
  [[nodiscard]] bool hasResult(float value) {
    stream_.synchronize();
    return recv_.get() == bytesOf(std::vector<float>(kCount, value));
  }

 private:
  DeviceBuffer send_;
  DeviceBuffer recv_;
  Stream stream_;
};

using StreamCallsTest = StreamTest;

TEST_F(StreamCallsTest, CallsOfAGroupWithDifferentRulesDoNotMix) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    Voter positive(rank == 0 ? 1 : -1);
    Voter negative(rank == 0 ? 1 : -1);
    for (int call = 0; call < 3; ++call) {
      ASSERT_EQ(signcclGroupStart(), signcclSuccess);
      ASSERT_EQ(positive.vote(comm, negative.stream().get(), signcclTiePositive), signcclSuccess);
      ASSERT_EQ(negative.vote(comm, negative.stream().get(), signcclTieNegative), signcclSuccess);
      ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
      EXPECT_TRUE(negative.hasResult(-1));
      EXPECT_TRUE(positive.hasResult(1));
    }
  });
}

TEST_F(StreamCallsTest, TheCallReturnsBeforeItsStreamComesToIt) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  Voter voter(-2);
  ASSERT_EQ(voter.vote(ranks[0]),
            signcclSuccess);  // the first call of a device loads kernels, and may wait for streams
  ASSERT_TRUE(voter.hasResult(-1));
  std::atomic<bool> may_go_on = false;
  holdStream(voter.stream().get(), may_go_on);
  EXPECT_EQ(voter.vote(ranks[0]), signcclSuccess);
  signcclResult_t state = signcclSuccess;
  EXPECT_EQ(signcclCommGetAsyncError(ranks[0], &state), signcclSuccess);
  EXPECT_EQ(state, signcclInProgress);
  may_go_on = true;
  EXPECT_TRUE(voter.hasResult(-1));
}

TEST_F(StreamCallsTest, TheStreamOfTheCallOrdersItAfterWhatWasEnqueuedBefore) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const std::vector<std::byte> negative = bytesOf(std::vector<float>(kCount, -1));
  void* pinned = nullptr;
  expectCuda(cuMemHostAlloc(&pinned, negative.size(), 0));
  std::ranges::copy(negative, static_cast<std::byte*>(pinned));
  const DeviceBuffer buffer(negative.size());
  const Stream stream;
  for (int call = 0; call < 20; ++call) {
    expectCuda(cuMemsetD8Async(reinterpret_cast<CudaDevicePointer>(buffer.data()), 0, negative.size(), stream.get()));
    if (call % 2 == 1) {
      expectCuda(cuMemcpyHtoDAsync_v2(reinterpret_cast<CudaDevicePointer>(buffer.data()), pinned, negative.size(),
                                      stream.get()));
    }
    EXPECT_EQ(callOn({}, buffer.data(), buffer.data(), kCount, ranks[0], stream.get()), signcclSuccess);
    stream.synchronize();
    EXPECT_EQ(buffer.get(), bytesOf(std::vector<float>(kCount, call % 2 == 1 ? -1.0F : 1.0F))) << "call " << call;
  }
  expectCuda(cuMemFreeHost(pinned));
}

TEST_F(StreamCallsTest, OneThreadDrivesSeveralRanksInAGroup) {
  for (const int queues : {1, 2, 32}) {
    fake_cuda::Config config;
    config.queues = queues;
    begin(config);
    Ranks ranks(4);
    const CurrentDevice current(0);
    std::vector<std::unique_ptr<Voter>> voters;
    for (int rank = 0; rank < 4; ++rank) voters.push_back(std::make_unique<Voter>(rank == 0 ? -1.0F : 1.0F));
    for (int call = 0; call < 10; ++call) {
      ASSERT_EQ(signcclGroupStart(), signcclSuccess);
      for (int rank = 0; rank < 4; ++rank)
        ASSERT_EQ(voters[static_cast<std::size_t>(rank)]->vote(ranks[rank]), signcclSuccess);
      ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
    }
    for (const auto& voter : voters) EXPECT_TRUE(voter->hasResult(1)) << queues << " queues";
  }
}

TEST_F(StreamCallsTest, QueuesThatStreamsShareHoldNobodyUp) {
  for (const int queues : {1, 2, 3, 8, 32}) {
    fake_cuda::Config config;
    config.queues = queues;
    config.seed = static_cast<std::uint64_t>(queues);
    begin(config);
    Ranks ranks(9);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      const CurrentDevice current(0);
      Voter voter(rank < 4 ? -1.0F : 1.0F);
      for (int call = 0; call < 20; ++call) ASSERT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
      EXPECT_TRUE(voter.hasResult(1)) << queues << " queues, rank " << rank;
    });
  }
}

TEST_F(StreamCallsTest, CallsOnDifferentStreamsFollowEachOther) {
  fake_cuda::Config config;
  config.seed = 3;
  begin(config);
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    constexpr int kStreams = 3;
    std::array<std::unique_ptr<Voter>, kStreams> voters;
    for (int i = 0; i < kStreams; ++i)
      voters[static_cast<std::size_t>(i)] = std::make_unique<Voter>(i % 2 == 0 ? 1.0F : -1.0F);
    for (int call = 0; call < 30; ++call) {
      ASSERT_EQ(voters[static_cast<std::size_t>(call % kStreams)]->vote(comm), signcclSuccess);
    }
    for (int i = 0; i < kStreams; ++i) {
      EXPECT_TRUE(voters[static_cast<std::size_t>(i)]->hasResult(i % 2 == 0 ? 1.0F : -1.0F))
          << "rank " << rank << ", stream " << i;
    }
  });
}

TEST_F(StreamCallsTest, DefaultStreamsServe) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  const DeviceBuffer buffer(kCount * sizeof(float));
  for (CudaStream stream : {CudaStream{nullptr}, cudaLegacyStream(), cudaPerThreadStream()}) {
    buffer.put(bytesOf(std::vector<float>(kCount, -7)));
    ASSERT_EQ(callOn({}, buffer.data(), buffer.data(), kCount, ranks[0], stream), signcclSuccess)
        << signcclGetLastError(nullptr);
    expectCuda(cuCtxSynchronize());
    EXPECT_EQ(buffer.get(), bytesOf(std::vector<float>(kCount, -1)));
  }
}

TEST_F(StreamCallsTest, SeveralBuffersTravelInOneExchange) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Stream stream;
    std::vector<std::unique_ptr<DeviceBuffer>> buffers;
    ASSERT_EQ(signcclGroupStart(), signcclSuccess);
    for (std::size_t i = 0; i < 5; ++i) {
      const std::size_t count = 100 * i;
      buffers.push_back(std::make_unique<DeviceBuffer>(count * sizeof(float)));
      buffers.back()->put(bytesOf(std::vector<float>(count, i % 2 == 0 ? 1.0F : -1.0F)));
      ASSERT_EQ(callOn({}, buffers.back()->data(), buffers.back()->data(), count, comm, stream.get()), signcclSuccess);
    }
    ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
    stream.synchronize();
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(buffers[i]->get(), bytesOf(std::vector<float>(100 * i, i % 2 == 0 ? 1.0F : -1.0F))) << "rank " << rank;
    }
    signcclCommStats_t stats{};
    stats.size = sizeof(stats);
    ASSERT_EQ(signcclCommGetStats(comm, &stats), signcclSuccess);
    EXPECT_LE(stats.exchanges, 2U);
  });
}

TEST_F(StreamCallsTest, TheStatisticsCountMemoryThatStreamsAndHostShare) {
  for (const std::size_t count : {std::size_t{1'000}, std::size_t{1'000'000}}) {
    const std::uint64_t sign_bytes = (count + 63) / 64 * 8;
    const bool has_copy = count == 1'000'000;  // of few signs a copy on the device is not worth its time
    Ranks ranks(2);
    ranks.inThreads([&](int /*rank*/, signcclComm_t comm) {
      const CurrentDevice current(0);
      const Stream stream;
      const DeviceBuffer buffer(count * sizeof(float));
      const auto vote = [&] {
        EXPECT_EQ(callOn({}, buffer.data(), buffer.data(), count, comm, stream.get()), signcclSuccess)
            << signcclGetLastError(nullptr);
        stream.synchronize();
        meet(comm);  // an exchange is over a moment after its stream has gone on
        return scratchBytes(comm);
      };
      const std::uint64_t before = scratchBytes(comm);
      const std::uint64_t after = vote();
      EXPECT_GE(after, before + 512 + sign_bytes * (has_copy ? 2 : 1)) << "a slot, flags and signs";
      EXPECT_EQ(vote(), after);
    });
  }
}

TEST_F(StreamCallsTest, ACallWithoutElementsHoldsNoStreamUp) {
  Ranks ranks(2);
  ranks.inThreads([&](int /*rank*/, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Stream stream;
    EXPECT_EQ(callOn({}, nullptr, nullptr, 0, comm, stream.get()), signcclSuccess) << signcclGetLastError(nullptr);
    stream.synchronize();
  });
}

TEST_F(StreamCallsTest, CallsOfAGroupWithDifferentRulesKeepApart) {
  fake_cuda::Config config;
  config.seed = 5;
  begin(config);
  Ranks ranks(2);
  const Case vote;
  const Case avg{SignOp::kAvg, signcclFloat32, signcclFloat32, signcclZeroBinary, signcclTieZero};
  const Case ternary{SignOp::kAvg, signcclFloat32, signcclFloat32, signcclZeroTernary, signcclTieZero};
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Stream streams[3];
    const DeviceBuffer buffers[4] = {DeviceBuffer(4 * kCount), DeviceBuffer(4 * kCount), DeviceBuffer(4 * kCount),
                                     DeviceBuffer(4 * kCount)};
    for (int call = 0; call < 20; ++call) {
      const float value = call % 2 == 0 ? -2.0F : 2.0F;
      buffers[0].put(bytesOf(std::vector<float>(kCount, value)));
      buffers[1].put(bytesOf(std::vector<float>(kCount, rank == 0 ? value : 1)));
      buffers[2].put(bytesOf(std::vector<float>(kCount, rank == 0 ? value : 0)));
      buffers[3].put(bytesOf(std::vector<float>(kCount, -value)));
      const auto enqueue = [&](const Case& rules, std::size_t buffer, const Stream& stream) {
        void* const data = buffers[buffer].data();
        ASSERT_EQ(callOn(rules, data, data, kCount, comm, stream.get()), signcclSuccess);
      };
      ASSERT_EQ(signcclGroupStart(), signcclSuccess);
      enqueue(vote, 0, streams[0]);
      enqueue(avg, 1, streams[0]);
      enqueue(ternary, 2, streams[1]);
      enqueue(vote, 3, streams[2]);
      ASSERT_EQ(signcclGroupEnd(), signcclSuccess) << signcclGetLastError(nullptr);
      for (const Stream& stream : streams) stream.synchronize();
      const float sign = value / 2;
      EXPECT_EQ(buffers[0].get(), bytesOf(std::vector<float>(kCount, sign)));
      EXPECT_EQ(buffers[1].get(), bytesOf(std::vector<float>(kCount, (sign + 1) / 2)));
      EXPECT_EQ(buffers[2].get(), bytesOf(std::vector<float>(kCount, sign / 2)));
      EXPECT_EQ(buffers[3].get(), bytesOf(std::vector<float>(kCount, -sign)));
    }
  });
}

TEST_F(StreamCallsTest, StreamsWaitByKernelsWhereTheDriverHasNoMemoryOperations) {
  for (const bool is_forced : {false, true}) {
    fake_cuda::Config config;
    config.memory_operations = is_forced;
    begin(config);
    const Environment environment{{"SIGNCCL_CUDA_WAIT", is_forced ? "kernel" : ""}};
    Ranks ranks(3);
    ranks.inThreads([&](int rank, signcclComm_t comm) {
      const CurrentDevice current(0);
      Voter voter(rank == 0 ? 1.0F : -1.0F);
      for (int call = 0; call < 10; ++call) ASSERT_EQ(voter.vote(comm), signcclSuccess) << signcclGetLastError(nullptr);
      EXPECT_TRUE(voter.hasResult(-1));
    });
  }
}

TEST_F(StreamCallsTest, SizesThatGrowAndShrinkUseMemoryThatFits) {
  Ranks ranks(2);
  ranks.inThreads([&](int rank, signcclComm_t comm) {
    const CurrentDevice current(0);
    const Stream stream;
    for (const std::size_t count : {10U, 100'000U, 64U, 1'500'000U, 1U, 300'000U}) {
      const DeviceBuffer buffer(count * sizeof(float));
      buffer.put(bytesOf(std::vector<float>(count, -3)));
      ASSERT_EQ(callOn({}, buffer.data(), buffer.data(), count, comm, stream.get()), signcclSuccess);
      stream.synchronize();
      EXPECT_EQ(buffer.get(), bytesOf(std::vector<float>(count, -1))) << count << " elements, rank " << rank;
    }
  });
}

TEST_F(StreamCallsTest, ACommunicatorMayBeDestroyedBeforeItsStreamHasTheResult) {
  fake_cuda::Config config;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    config.seed = seed;
    begin(config);
    const CurrentDevice current(0);
    Voter voter(-1);
    {
      Ranks ranks(1);
      ASSERT_EQ(voter.vote(ranks[0]), signcclSuccess);
    }
    EXPECT_TRUE(voter.hasResult(-1));
    // What the first communicator had to leave to its stream goes with the next one.
    Ranks ranks(1);
    EXPECT_EQ(voter.vote(ranks[0]), signcclSuccess);
    EXPECT_TRUE(voter.hasResult(-1));
  }
}

TEST_F(StreamCallsTest, AThreadWithoutContextMayCallAndHasNoneAfterwards) {
  Ranks ranks(1);
  const CurrentDevice current(0);
  Voter voter(1);
  std::thread([&] {
    EXPECT_EQ(voter.vote(ranks[0]), signcclSuccess) << signcclGetLastError(nullptr);
    CudaContext left = nullptr;
    expectCuda(cuCtxGetCurrent(&left));
    EXPECT_EQ(left, nullptr);
  }).join();
  EXPECT_TRUE(voter.hasResult(1));
}

}  // namespace
}  // namespace signccl
