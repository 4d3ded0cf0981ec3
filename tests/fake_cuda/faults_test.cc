// SPDX-License-Identifier: Apache-2.0
#include "fake_cuda/user.h"

namespace signccl {
namespace {

using FakeFaultsTest = UserTest;

TEST_F(FakeFaultsTest, NthCallFailsAndNoOther) {
  fake_cuda::failCall(3, CudaResult::kLaunchFailed);
  CudaContext context = nullptr;
  EXPECT_TRUE(succeeds(cuCtxGetCurrent(&context)));
  EXPECT_TRUE(succeeds(cuCtxGetCurrent(&context)));
  EXPECT_EQ(cuCtxGetCurrent(&context), CudaResult::kLaunchFailed);
  EXPECT_TRUE(succeeds(cuCtxGetCurrent(&context)));
}

TEST_F(FakeFaultsTest, CallsAreCounted) {
  const long before = fake_cuda::callsMade();
  allocate(512);
  makeStream();
  const char* name = nullptr;
  EXPECT_TRUE(succeeds(cuGetErrorName(CudaResult::kSuccess, &name)));
  EXPECT_EQ(fake_cuda::callsMade() - before, 2);
}

TEST_F(FakeFaultsTest, FailingCallHasNoEffect) {
  CudaStream stream = makeStream();
  const Word word;
  fake_cuda::failCall(1, CudaResult::kOutOfMemory);
  EXPECT_EQ(enqueueOperations(stream, {writeOf(word.address(), 1)}), CudaResult::kOutOfMemory);
  ASSERT_TRUE(succeeds(cuStreamSynchronize(stream)));
  EXPECT_EQ(word.get(), 0U);
}

TEST_F(FakeFaultsTest, AllCallsOfAFunctionFail) {
  fake_cuda::failCallsOf("cuMemAlloc_v2", CudaResult::kNotSupported);
  CudaDevicePointer memory = 0;
  EXPECT_EQ(cuMemAlloc_v2(&memory, 512), CudaResult::kNotSupported);
  EXPECT_EQ(cuMemAlloc_v2(&memory, 512), CudaResult::kNotSupported);
  EXPECT_NE(makeStream(), nullptr);
}

TEST_F(FakeFaultsTest, StreamThatDiesEndsItsWaitAndDoesNoMore) {
  const CudaStream stream = makeStream();
  const CudaStream other = makeStream();
  Word go;
  const Word gone;
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(go.address(), 1)})));
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {writeOf(gone.address(), 1)})));
  fake_cuda::failStream(stream, CudaResult::kLaunchFailed);
  EXPECT_EQ(cuStreamQuery(stream), CudaResult::kLaunchFailed);
  EXPECT_EQ(enqueueOperations(stream, {writeOf(gone.address(), 1)}), CudaResult::kLaunchFailed);
  EXPECT_TRUE(succeeds(cuCtxSynchronize())) << "nothing waits any more";
  EXPECT_EQ(gone.get(), 0U);
  EXPECT_TRUE(succeeds(cuStreamQuery(other)));
}

TEST_F(FakeFaultsTest, ContextThatDiesTakesItsStreamsAlong) {
  const CudaStream stream = makeStream();
  const Word never;
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(never.address(), 1)})));
  fake_cuda::failContext(0, CudaResult::kIllegalAddress);
  CudaDevicePointer memory = 0;
  EXPECT_EQ(cuStreamQuery(stream), CudaResult::kIllegalAddress);
  EXPECT_EQ(cuMemAlloc_v2(&memory, 512), CudaResult::kIllegalAddress);
  EXPECT_EQ(cuCtxSynchronize(), CudaResult::kIllegalAddress);
}

TEST_F(FakeFaultsTest, FirstFailureStays) {
  fake_cuda::failContext(0, CudaResult::kIllegalAddress);
  fake_cuda::failContext(0, CudaResult::kLaunchFailed);
  EXPECT_EQ(cuCtxSynchronize(), CudaResult::kIllegalAddress);
}

TEST_F(FakeFaultsTest, ResetForgetsAllFaults) {
  fake_cuda::failContext(0, CudaResult::kIllegalAddress);
  fake_cuda::failCallsOf("cuMemAlloc_v2", CudaResult::kNotSupported);
  begin({});
  EXPECT_NE(allocate(512), 0U);
}

}  // namespace
}  // namespace signccl
