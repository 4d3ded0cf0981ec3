// SPDX-License-Identifier: Apache-2.0
#include "device/stream.h"

#include <atomic>
#include <memory>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>

#include "device/memory.h"
#include "fake_cuda/fake_cuda_test.h"
#include "support/caught.h"

namespace signccl {
namespace {

using StreamTest = FakeCudaTest;

TEST_F(StreamTest, BelongsToTheDeviceAndEndsWithTheObject) {
  const auto device = Device::get(0);
  CudaStream handle = nullptr;
  const ContextScope scope(*device);
  {
    const Stream stream(device);
    handle = stream.handle();
    CudaContext context = nullptr;
    ASSERT_TRUE(succeeds(cuStreamGetCtx(handle, &context)));
    EXPECT_EQ(context, device->context());
  }
  EXPECT_EQ(cuStreamQuery(handle), CudaResult::kInvalidHandle);
}

TEST_F(StreamTest, StreamThatCannotBeMadeIsAnErrorWithItsDevice) {
  const auto device = Device::get(0);
  fake_cuda::failCallsOf("cuStreamCreateWithPriority", CudaResult::kOutOfMemory);
  EXPECT_EQ(caught([&] { const Stream stream(device); }),
            (Caught{signcclUnhandledCudaError,
                    "cuStreamCreateWithPriority on device 0 (Fake GPU 0, 0000:10:00): CUDA_ERROR_OUT_OF_MEMORY (out of "
                    "memory)"}));
}

TEST_F(StreamTest, ManyMemoryOperationsAreCarriedOutInTheirOrder) {
  const auto device = Device::get(0);
  const Stream stream(device);
  const PinnedMemory memory(device, 4);
  std::vector<CudaMemoryOperationParams> operations;
  for (std::uint32_t i = 1; i <= 300; ++i) {
    operations.push_back(writeValue(memory.address(), i));
    operations.push_back(i % 2 == 0 ? waitUntilEqual(memory.address(), i) : waitUntilReached(memory.address(), i));
  }
  enqueueMemoryOperations(*device, stream.handle(), operations);
  EXPECT_EQ(currentContext(), nullptr);
  const ContextScope scope(*device);
  ASSERT_TRUE(succeeds(cuStreamSynchronize(stream.handle())));
  EXPECT_EQ(*reinterpret_cast<std::uint32_t*>(memory.host()), 300U);
}

TEST_F(StreamTest, MemoryOperationsThatFailAreAnErrorWithTheirNumberAndDevice) {
  fake_cuda::reset({.memory_operations = false});
  const auto device = Device::get(0);
  const Stream stream(device);
  const PinnedMemory memory(device, 4);
  std::vector operations{writeValue(memory.address(), 1)};
  EXPECT_EQ(caught([&] { enqueueMemoryOperations(*device, stream.handle(), operations); }),
            (Caught{signcclUnhandledCudaError,
                    "cuStreamBatchMemOp of 1 operations on device 0 (Fake GPU 0, 0000:10:00): CUDA_ERROR_NOT_SUPPORTED "
                    "(operation not supported)"}));
}

TEST_F(StreamTest, SupportOfMemoryOperationsIsFoundByTrying) {
  EXPECT_TRUE(supportsMemoryOperations(Device::get(0)));
  fake_cuda::reset({.memory_operations = false});
  EXPECT_FALSE(supportsMemoryOperations(Device::get(0)));
  EXPECT_EQ(currentContext(), nullptr);
}

/// Holds up the one queue of a device while it lives.
class HeldQueue {
 public:
  HeldQueue() {
    EXPECT_TRUE(succeeds(cuStreamCreateWithPriority(&stream_, kCudaStreamNonBlocking, 0)));
    EXPECT_TRUE(succeeds(cuLaunchHostFunc(
        stream_,
        [](void* is_released) {
          while (!static_cast<std::atomic<bool>*>(is_released)->load()) continue;
        },
        &is_released_)));
  }
  ~HeldQueue() {
    is_released_ = true;
    EXPECT_TRUE(succeeds(cuStreamSynchronize(stream_)));
  }
  HeldQueue(const HeldQueue&) = delete;
  HeldQueue& operator=(const HeldQueue&) = delete;

 private:
  CudaStream stream_ = nullptr;
  std::atomic<bool> is_released_ = false;
};

/// In a process of its own, since the device stays in use.
TEST_F(StreamTest, StreamThatDoesNotGoOnSupportsNoMemoryOperations) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        fake_cuda::reset({.queues = 1});
        const auto device = Device::get(0);
        const ContextScope scope(*device);
        const auto held = std::make_unique<HeldQueue>();
        EXPECT_FALSE(supportsMemoryOperations(device));
        _exit(testing::Test::HasFailure() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace signccl
