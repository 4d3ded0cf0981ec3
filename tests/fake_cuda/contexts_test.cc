#include <thread>

#include "fake_cuda/user.h"

namespace signccl {
namespace {

using FakeContextTest = FakeCudaTest;

TEST_F(FakeContextTest, NothingWorksBeforeTheDriverIsStarted) {
  int count = 0;
  CudaContext context = nullptr;
  EXPECT_EQ(cuDeviceGetCount(&count), CudaResult::kNotInitialized);
  EXPECT_EQ(cuCtxGetCurrent(&context), CudaResult::kNotInitialized);
  ASSERT_TRUE(succeeds(cuInit(0)));
  ASSERT_TRUE(succeeds(cuDeviceGetCount(&count)));
  EXPECT_EQ(count, 1);
}

TEST_F(FakeContextTest, CallsNeedACurrentContext) {
  ASSERT_TRUE(succeeds(cuInit(0)));
  CudaDevicePointer memory = 0;
  CudaStream stream = nullptr;
  CudaEvent event = nullptr;
  EXPECT_EQ(cuMemAlloc_v2(&memory, 512), CudaResult::kInvalidContext);
  EXPECT_EQ(cuStreamCreateWithPriority(&stream, 0, 0), CudaResult::kInvalidContext);
  EXPECT_EQ(cuEventCreate(&event, 0), CudaResult::kInvalidContext);
  EXPECT_EQ(cuCtxSynchronize(), CudaResult::kInvalidContext);
}

TEST_F(FakeContextTest, EveryThreadHasAStackOfItsOwn) {
  ASSERT_TRUE(succeeds(cuInit(0)));
  CudaContext first = nullptr;
  CudaContext second = nullptr;
  ASSERT_TRUE(succeeds(cuCtxCreate_v2(&first, 0, 0)));
  ASSERT_TRUE(succeeds(cuCtxCreate_v2(&second, 0, 0)));
  EXPECT_EQ(currentContext(), second);
  std::thread([] { EXPECT_EQ(currentContext(), nullptr); }).join();
  CudaContext popped = nullptr;
  ASSERT_TRUE(succeeds(cuCtxPopCurrent_v2(&popped)));
  EXPECT_EQ(popped, second);
  EXPECT_EQ(currentContext(), first);
  ASSERT_TRUE(succeeds(cuCtxSetCurrent(second)));
  EXPECT_EQ(currentContext(), second);
  ASSERT_TRUE(succeeds(cuCtxPopCurrent_v2(&popped)));
  EXPECT_EQ(cuCtxPopCurrent_v2(&popped), CudaResult::kInvalidContext);
}

TEST_F(FakeContextTest, DestroyedContextCannotBeUsed) {
  ASSERT_TRUE(succeeds(cuInit(0)));
  CudaContext context = nullptr;
  CudaStream stream = nullptr;
  ASSERT_TRUE(succeeds(cuCtxCreate_v2(&context, 0, 0)));
  ASSERT_TRUE(succeeds(cuStreamCreateWithPriority(&stream, 0, 0)));
  ASSERT_TRUE(succeeds(cuCtxDestroy_v2(context)));
  EXPECT_EQ(currentContext(), nullptr);
  EXPECT_EQ(cuCtxPushCurrent_v2(context), CudaResult::kContextIsDestroyed);
  EXPECT_EQ(cuCtxDestroy_v2(context), CudaResult::kContextIsDestroyed);
  EXPECT_EQ(cuCtxPushCurrent_v2(nullptr), CudaResult::kInvalidContext);
}

TEST_F(FakeContextTest, DestroyedContextDropsWhatItsStreamsWaitFor) {
  ASSERT_TRUE(succeeds(cuInit(0)));
  CudaContext context = nullptr;
  CudaStream stream = nullptr;
  ASSERT_TRUE(succeeds(cuCtxCreate_v2(&context, 0, 0)));
  ASSERT_TRUE(succeeds(cuStreamCreateWithPriority(&stream, 0, 0)));
  const Word never;
  ASSERT_TRUE(succeeds(enqueueOperations(stream, {waitFor(never.address(), 1)})));
  EXPECT_TRUE(succeeds(cuCtxDestroy_v2(context)));
}

TEST_F(FakeContextTest, PrimaryContextLivesAsLongAsItIsRetained) {
  ASSERT_TRUE(succeeds(cuInit(0)));
  CudaContext context = nullptr;
  CudaContext again = nullptr;
  ASSERT_TRUE(succeeds(cuDevicePrimaryCtxRetain(&context, 0)));
  ASSERT_TRUE(succeeds(cuDevicePrimaryCtxRetain(&again, 0)));
  EXPECT_EQ(context, again);
  ASSERT_TRUE(succeeds(cuDevicePrimaryCtxRelease_v2(0)));
  EXPECT_TRUE(succeeds(cuCtxPushCurrent_v2(context)));
  ASSERT_TRUE(succeeds(cuDevicePrimaryCtxRelease_v2(0)));
  CudaEvent event = nullptr;
  EXPECT_EQ(cuEventCreate(&event, 0), CudaResult::kContextIsDestroyed);
  EXPECT_EQ(cuDevicePrimaryCtxRelease_v2(0), CudaResult::kInvalidContext);
}

TEST_F(FakeContextTest, DevicesBeyondThoseOfTheMachineAreRefused) {
  ASSERT_TRUE(succeeds(cuInit(0)));
  CudaDevice device = 0;
  CudaContext context = nullptr;
  EXPECT_EQ(cuDeviceGet(&device, 1), CudaResult::kInvalidDevice);
  EXPECT_EQ(cuDevicePrimaryCtxRetain(&context, -1), CudaResult::kInvalidDevice);
}

}  // namespace
}  // namespace signccl
