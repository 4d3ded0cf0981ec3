// SPDX-License-Identifier: Apache-2.0
#include "device/memory.h"

#include <cstring>

#include "fake_cuda/fake_cuda_test.h"
#include "support/caught.h"

namespace signccl {
namespace {

using MemoryTest = FakeCudaTest;
using MemoryDeathTest = FakeCudaTest;

TEST_F(MemoryTest, PinnedMemoryIsTheHostsToo) {
  const auto device = Device::get(0);
  const PinnedMemory memory(device, 10000);
  std::memset(memory.host(), 7, memory.bytes());
  EXPECT_EQ(memory.address(), reinterpret_cast<std::uintptr_t>(memory.host()));
  EXPECT_EQ(currentContext(), nullptr);
}

TEST_F(MemoryTest, MemoryIsGivenBack) {
  const auto device = Device::get(0);
  const ContextScope scope(*device);
  std::size_t before = 0;
  std::size_t during = 0;
  std::size_t after = 0;
  std::size_t total = 0;
  cuMemGetInfo_v2(&before, &total);
  {
    const DeviceMemory memory(device, 10000);
    cuMemGetInfo_v2(&during, &total);
  }
  cuMemGetInfo_v2(&after, &total);
  EXPECT_EQ(before - during, 10000U);
  EXPECT_EQ(after, before);
}

TEST_F(MemoryTest, MemoryKeepsItsDevice) {
  auto device = Device::get(0);
  const std::weak_ptr<Device> alive = device;
  {
    const DeviceMemory memory(std::move(device), 512);
    EXPECT_FALSE(alive.expired());
  }
  EXPECT_TRUE(alive.expired());
}

TEST_F(MemoryTest, MoreMemoryThanThereIsIsAnErrorWithSizeAndDevice) {
  fake_cuda::reset({.device_bytes = 1 << 20});
  const auto device = Device::get(0);
  EXPECT_EQ(caught([&] { const DeviceMemory memory(device, 2 << 20); }),
            (Caught{signcclUnhandledCudaError,
                    "cuMemAlloc of 2097152 bytes on device 0 (Fake GPU 0, 0000:10:00): CUDA_ERROR_OUT_OF_MEMORY (out "
                    "of memory)"}));
}

TEST_F(MemoryTest, PinnedMemoryThatThereIsNotIsAnErrorAndLeavesNothing) {
  const auto device = Device::get(0);
  fake_cuda::failCallsOf("cuMemHostGetDevicePointer_v2", CudaResult::kNotSupported);
  EXPECT_EQ(caught([&] { const PinnedMemory memory(device, 4096); }),
            (Caught{signcclUnhandledCudaError,
                    "cuMemHostGetDevicePointer of 4096 bytes for device 0 (Fake GPU 0, 0000:10:00): "
                    "CUDA_ERROR_NOT_SUPPORTED (operation not supported)"}));
  fake_cuda::failCallsOf("cuMemHostAlloc", CudaResult::kOutOfMemory);
  EXPECT_EQ(caught([&] { const PinnedMemory memory(device, 4096); }).message,
            "cuMemHostAlloc of 4096 bytes for device 0 (Fake GPU 0, 0000:10:00): CUDA_ERROR_OUT_OF_MEMORY (out of "
            "memory)");
}

TEST_F(MemoryDeathTest, HostThatReadsDeviceMemoryDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto device = Device::get(0);
  const DeviceMemory memory(device, 512);
  EXPECT_DEATH(
      {
        const volatile std::byte value = *static_cast<const std::byte*>(memory.pointer());
        static_cast<void>(value);
      },
      "");
}

}  // namespace
}  // namespace signccl
