// SPDX-License-Identifier: Apache-2.0
#include <thread>
#include <unistd.h>

#include <sys/wait.h>

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

/// In a forked child: takes device memory, fills it, waits for the other child, and sees whether it is still so.
int fillAndCompare(unsigned char value, int signal_end, int wait_end) {
  CudaContext context = nullptr;
  CudaDevicePointer memory = 0;
  unsigned char read = 0;
  char byte = 0;
  if (cuInit(0) != CudaResult::kSuccess || cuDevicePrimaryCtxRetain(&context, 0) != CudaResult::kSuccess) return 1;
  if (cuCtxPushCurrent_v2(context) != CudaResult::kSuccess) return 1;
  if (cuMemAlloc_v2(&memory, 512) != CudaResult::kSuccess) return 1;
  if (cuMemcpyHtoD_v2(memory, &value, 1) != CudaResult::kSuccess) return 1;
  if (write(signal_end, &byte, 1) != 1 || ::read(wait_end, &byte, 1) != 1) return 1;
  if (cuMemcpyDtoH_v2(&read, memory, 1) != CudaResult::kSuccess) return 1;
  return read == value ? 0 : 1;
}

TEST_F(FakeContextTest, ForkedChildrenHaveMemoryOfTheirOwn) {
  int to_first[2];
  int to_second[2];
  ASSERT_EQ(pipe(to_first), 0);
  ASSERT_EQ(pipe(to_second), 0);
  const pid_t first = fork();
  if (first == 0) _exit(fillAndCompare(1, to_second[1], to_first[0]));
  const pid_t second = fork();
  if (second == 0) _exit(fillAndCompare(2, to_first[1], to_second[0]));
  for (const pid_t child : {first, second}) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  for (const int end : {to_first[0], to_first[1], to_second[0], to_second[1]}) close(end);
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
