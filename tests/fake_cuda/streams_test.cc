// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "fake_cuda/user.h"

namespace signccl {
namespace {

/// With as many queues as the parameter says.
class FakeStreamQueuesTest : public UserTest, public testing::WithParamInterface<int> {
 protected:
  FakeStreamQueuesTest() { begin({.queues = GetParam(), .seed = 1}); }
};

using FakeStreamTest = UserTest;

/// Long enough for a task that nothing holds back.
void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

TEST_P(FakeStreamQueuesTest, OperationsOfAStreamFollowEachOther) {
  std::vector<CudaStream> streams;
  std::vector<Word> words;
  for (int i = 0; i < 40; ++i) {
    streams.push_back(makeStream());
    words.emplace_back();
  }
  for (std::uint32_t turn = 1; turn <= 10; ++turn) {
    for (std::size_t i = 0; i < streams.size(); ++i) {
      const CudaDevicePointer word = words[i].address();
      ASSERT_TRUE(succeeds(enqueueOperations(
          streams[i], {waitFor(word, turn - 1, kCudaWaitEq), writeOf(word, turn + 1000), writeOf(word, turn)})));
    }
  }
  for (std::size_t i = 0; i < streams.size(); ++i) {
    EXPECT_TRUE(succeeds(cuStreamSynchronize(streams[i])));
    EXPECT_EQ(words[i].get(), 10U);
  }
}

TEST_P(FakeStreamQueuesTest, HostAndStreamsTakeTurns) {
  const CudaStream stream = makeStream();
  const Word posted;
  Word answered;
  for (std::uint32_t turn = 1; turn <= 100; ++turn) {
    ASSERT_TRUE(
        succeeds(enqueueOperations(stream, {writeOf(posted.address(), turn), waitFor(answered.address(), turn)})));
  }
  for (std::uint32_t turn = 1; turn <= 100; ++turn) {
    while (posted.get() < turn) std::this_thread::yield();
    EXPECT_EQ(posted.get(), turn) << "the stream waits for the answer";
    answered.set(turn);
  }
  EXPECT_TRUE(succeeds(cuStreamSynchronize(stream)));
}

INSTANTIATE_TEST_SUITE_P(Queues, FakeStreamQueuesTest, testing::Values(1, 2, 8, 32));

TEST_F(FakeStreamTest, StreamThatWaitsHoldsBackAnotherOneOfItsQueue) {
  begin({.queues = 1});
  const CudaStream first = makeStream();
  const CudaStream second = makeStream();
  Word go;
  const Word gone;
  ASSERT_TRUE(succeeds(enqueueOperations(first, {waitFor(go.address(), 1)})));
  ASSERT_TRUE(succeeds(enqueueOperations(second, {writeOf(gone.address(), 1)})));
  pause();
  EXPECT_EQ(gone.get(), 0U);
  go.set(1);
  EXPECT_TRUE(succeeds(cuStreamSynchronize(second)));
  EXPECT_EQ(gone.get(), 1U);
}

TEST_F(FakeStreamTest, StreamThatWaitsHoldsBackNoneOfAnotherQueue) {
  begin({.queues = 2});
  const CudaStream first = makeStream();
  const CudaStream second = makeStream();
  const CudaStream third = makeStream();
  Word go;
  const Word gone;
  ASSERT_TRUE(succeeds(enqueueOperations(first, {waitFor(go.address(), 1)})));
  ASSERT_TRUE(succeeds(enqueueOperations(second, {writeOf(gone.address(), 1)})));
  EXPECT_TRUE(succeeds(cuStreamSynchronize(second)));
  EXPECT_EQ(gone.get(), 1U);
  ASSERT_TRUE(succeeds(enqueueOperations(third, {writeOf(gone.address(), 2)})));
  pause();
  EXPECT_EQ(cuStreamQuery(third), CudaResult::kNotReady) << "it has the queue of the first one";
  go.set(1);
  EXPECT_TRUE(succeeds(cuStreamSynchronize(third)));
}

TEST_F(FakeStreamTest, LegacyStreamAndBlockingStreamsWaitForEachOther) {
  const CudaStream blocking = makeStream(0);
  const CudaStream independent = makeStream();
  Word go;
  const Word gone;
  ASSERT_TRUE(succeeds(enqueueOperations(blocking, {waitFor(go.address(), 1)})));
  ASSERT_TRUE(succeeds(enqueueOperations(nullptr, {writeOf(gone.address(), 1)})));
  ASSERT_TRUE(succeeds(enqueueOperations(blocking, {writeOf(gone.address(), 2)})));
  EXPECT_TRUE(succeeds(cuStreamSynchronize(independent)));
  pause();
  EXPECT_EQ(gone.get(), 0U) << "the legacy stream waits for the blocking one";
  go.set(1);
  EXPECT_TRUE(succeeds(cuStreamSynchronize(blocking)));
  EXPECT_EQ(gone.get(), 2U) << "and this one for the legacy stream";
}

TEST_F(FakeStreamTest, LegacyStreamAndOthersDoNotWaitForEachOther) {
  const CudaStream independent = makeStream();
  Word go;
  ASSERT_TRUE(succeeds(enqueueOperations(independent, {waitFor(go.address(), 1)})));
  EXPECT_TRUE(succeeds(cuStreamSynchronize(cudaLegacyStream())));
  go.set(1);
}

TEST_F(FakeStreamTest, ThreadsHavePerThreadStreamsOfTheirOwn) {
  Word go;
  ASSERT_TRUE(succeeds(enqueueOperations(cudaPerThreadStream(), {waitFor(go.address(), 1)})));
  std::thread([&] {
    EXPECT_TRUE(succeeds(cuCtxPushCurrent_v2(context_)));
    EXPECT_TRUE(succeeds(cuStreamSynchronize(cudaPerThreadStream())));
  }).join();
  EXPECT_EQ(cuStreamQuery(cudaPerThreadStream()), CudaResult::kNotReady);
  go.set(1);
  EXPECT_TRUE(succeeds(cuStreamSynchronize(cudaPerThreadStream())));
}

TEST_F(FakeStreamTest, DestroyedStreamIsUnknownAndEndsItsWork) {
  const CudaStream stream = makeStream();
  Word go;
  const Word gone;
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(go.address(), 1), writeOf(gone.address(), 1)})));
  ASSERT_TRUE(succeeds(cuStreamDestroy_v2(stream)));
  EXPECT_EQ(cuStreamQuery(stream), CudaResult::kInvalidHandle);
  go.set(1);
  ASSERT_TRUE(succeeds(cuCtxSynchronize()));
  EXPECT_EQ(gone.get(), 1U);
}

TEST_F(FakeStreamTest, CopyOfPageableMemoryWaitsForTheStream) {
  const CudaStream stream = makeStream();
  const CudaDevicePointer memory = allocate(4);
  Word go;
  std::uint32_t pageable = 7;
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(go.address(), 1)})));
  std::thread other([&] {
    pause();
    go.set(1);
  });
  ASSERT_TRUE(succeeds(cuMemcpyHtoDAsync_v2(memory, &pageable, 4, stream)));
  EXPECT_TRUE(succeeds(cuStreamQuery(stream)));
  EXPECT_EQ(go.get(), 1U);
  other.join();
}

TEST_F(FakeStreamTest, CopiesOfPinnedMemoryDoNotWait) {
  const CudaStream stream = makeStream();
  const CudaDevicePointer memory = allocate(4);
  Word go;
  const Word from(7);
  const Word to;
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(go.address(), 1)})));
  ASSERT_TRUE(succeeds(cuMemcpyHtoDAsync_v2(memory, from.pointer(), 4, stream)));
  ASSERT_TRUE(succeeds(cuMemcpyAsync(to.address(), memory, 4, stream)));
  EXPECT_EQ(cuStreamQuery(stream), CudaResult::kNotReady);
  go.set(1);
  ASSERT_TRUE(succeeds(cuStreamSynchronize(stream)));
  EXPECT_EQ(to.get(), 7U);
}

TEST_F(FakeStreamTest, FillWritesEveryByte) {
  const CudaStream stream = makeStream();
  const CudaDevicePointer memory = allocate(100);
  std::vector<unsigned char> host(100);
  ASSERT_TRUE(succeeds(cuMemsetD8Async(memory, 9, 100, stream)));
  ASSERT_TRUE(succeeds(cuMemcpyDtoHAsync_v2(host.data(), memory, 100, stream)));
  EXPECT_THAT(host, testing::Each(9));
}

TEST_F(FakeStreamTest, FreeWaitsForAllStreams) {
  const CudaStream stream = makeStream();
  const CudaDevicePointer memory = allocate(512);
  Word go;
  std::atomic<bool> is_freed = false;
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(go.address(), 1)})));
  std::thread other([&] {
    EXPECT_TRUE(succeeds(cuCtxPushCurrent_v2(context_)));
    EXPECT_TRUE(succeeds(cuMemFree_v2(memory)));
    is_freed = true;
  });
  pause();
  EXPECT_FALSE(is_freed);
  go.set(1);
  other.join();
}

TEST_F(FakeStreamTest, AllocationWaitsForAllStreamsWhereATestWantsThat) {
  begin({.allocation_waits = true});
  const CudaStream stream = makeStream();
  Word go;
  std::atomic<bool> is_allocated = false;
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(go.address(), 1)})));
  std::thread other([&] {
    EXPECT_TRUE(succeeds(cuCtxPushCurrent_v2(context_)));
    allocate(512);
    is_allocated = true;
  });
  pause();
  EXPECT_FALSE(is_allocated);
  go.set(1);
  other.join();
}

TEST_F(FakeStreamTest, HostFunctionMustNotCallTheDriver) {
  const CudaStream stream = makeStream();
  CudaResult said = CudaResult::kSuccess;
  ASSERT_TRUE(succeeds(cuLaunchHostFunc(
      stream,
      [](void* result) {
        CudaContext current = nullptr;
        *static_cast<CudaResult*>(result) = cuCtxGetCurrent(&current);
      },
      &said)));
  ASSERT_TRUE(succeeds(cuStreamSynchronize(stream)));
  EXPECT_EQ(said, CudaResult::kNotPermitted);
}

TEST_F(FakeStreamTest, ResetEndsWhatWaits) {
  const CudaStream stream = makeStream();
  const Word never;
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(never.address(), 1)})));
  begin({});
  EXPECT_TRUE(succeeds(cuCtxSynchronize()));
  EXPECT_EQ(cuStreamQuery(stream), CudaResult::kInvalidHandle);
}

}  // namespace
}  // namespace signccl
