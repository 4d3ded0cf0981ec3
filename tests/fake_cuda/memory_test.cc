// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <vector>

#include <gmock/gmock.h>

#include "fake_cuda/user.h"

namespace signccl {
namespace {

using fake_cuda::FakeMemory;

class FakeMemoryTest : public UserTest {
 protected:
  static std::byte* touchable(CudaDevicePointer memory) {
    return FakeMemory::translate(reinterpret_cast<std::byte*>(memory));
  }

  static std::vector<unsigned char> read(CudaDevicePointer memory, std::size_t bytes) {
    std::vector<unsigned char> host(bytes);
    EXPECT_TRUE(succeeds(cuMemcpyDtoH_v2(host.data(), memory, bytes)));
    return host;
  }
};

class FakeMemoryDeathTest : public FakeMemoryTest {
 protected:
  FakeMemoryDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(FakeMemoryTest, HostMemoryIsTranslatedToItself) {
  int local = 0;
  EXPECT_EQ(FakeMemory::translate(&local), &local);
  const int* const null = nullptr;
  EXPECT_EQ(FakeMemory::translate(null), nullptr);
}

TEST_F(FakeMemoryTest, DeviceMemoryCanBeTouchedWhereItIsTranslatedTo) {
  const CudaDevicePointer memory = allocate(1000);
  std::memset(touchable(memory), 7, 1000);
  EXPECT_THAT(read(memory, 1000), testing::Each(7));
}

TEST_F(FakeMemoryTest, FreshMemoryIsNotZero) { EXPECT_THAT(read(allocate(1000), 1000), testing::Each(0xA5)); }

TEST_F(FakeMemoryTest, MemoryIsAlignedTo512Bytes) {
  for (const std::size_t bytes : std::vector<std::size_t>{1, 511, 512, 513, 4095, 4097, 100000}) {
    EXPECT_EQ(allocate(bytes) % 512, 0U) << bytes;
  }
}

TEST_F(FakeMemoryTest, DevicesHaveMemoryOfTheirOwn) {
  begin({.devices = 2, .device_bytes = 1 << 20});
  allocate(1 << 20);
  CudaContext other = nullptr;
  ASSERT_TRUE(succeeds(cuDevicePrimaryCtxRetain(&other, 1)));
  ASSERT_TRUE(succeeds(cuCtxPushCurrent_v2(other)));
  std::size_t free = 0;
  std::size_t total = 0;
  ASSERT_TRUE(succeeds(cuMemGetInfo_v2(&free, &total)));
  EXPECT_EQ(free, std::size_t{1} << 20);
  allocate(1 << 20);
  CudaDevicePointer none = 0;
  EXPECT_EQ(cuMemAlloc_v2(&none, 1), CudaResult::kOutOfMemory);
}

TEST_F(FakeMemoryTest, FreedAddressesAreNotUsedAgainSoon) {
  const CudaDevicePointer first = allocate(512);
  ASSERT_TRUE(succeeds(cuMemFree_v2(first)));
  for (int i = 0; i < 100; ++i) EXPECT_NE(allocate(512), first);
}

TEST_F(FakeMemoryTest, AddressesAreUsedAgainWhenAllWereUsed) {
  // 9 times 1 GiB are more addresses than a device has.
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(succeeds(cuMemFree_v2(allocate(std::size_t{1} << 30)))) << i;
}

TEST_F(FakeMemoryTest, OnlyTheBeginningOfAnAllocationCanBeFreedAndOnce) {
  const CudaDevicePointer memory = allocate(512);
  EXPECT_EQ(cuMemFree_v2(memory + 256), CudaResult::kInvalidValue);
  EXPECT_TRUE(succeeds(cuMemFree_v2(memory)));
  EXPECT_EQ(cuMemFree_v2(memory), CudaResult::kInvalidValue);
  EXPECT_TRUE(succeeds(cuMemFree_v2(0)));
  void* pinned = nullptr;
  ASSERT_TRUE(succeeds(cuMemHostAlloc(&pinned, 512, 0)));
  EXPECT_EQ(cuMemFree_v2(reinterpret_cast<std::uintptr_t>(pinned)), CudaResult::kInvalidValue);
  EXPECT_TRUE(succeeds(cuMemFreeHost(pinned)));
}

TEST_F(FakeMemoryTest, MemoryEndsWithItsContext) {
  const CudaDevicePointer memory = allocate(512);
  ASSERT_TRUE(succeeds(cuDevicePrimaryCtxRelease_v2(0)));
  ASSERT_TRUE(succeeds(cuDevicePrimaryCtxRetain(&context_, 0)));
  EXPECT_EQ(cuMemFree_v2(memory), CudaResult::kInvalidValue);
}

TEST_F(FakeMemoryTest, RegisteredMemoryMustNotOverlap) {
  std::vector<char> memory(1000);
  ASSERT_TRUE(succeeds(cuMemHostRegister_v2(memory.data() + 100, 500, 0)));
  EXPECT_EQ(cuMemHostRegister_v2(memory.data(), 101, 0), CudaResult::kInvalidValue);
  EXPECT_EQ(cuMemHostRegister_v2(memory.data() + 599, 101, 0), CudaResult::kInvalidValue);
  EXPECT_TRUE(succeeds(cuMemHostRegister_v2(memory.data(), 100, 0)));
  EXPECT_TRUE(succeeds(cuMemHostRegister_v2(memory.data() + 600, 100, 0)));
}

TEST_F(FakeMemoryTest, CopyOfMemoryThatIsNotThereIsRefused) {
  const CudaDevicePointer memory = allocate(512);
  std::vector<char> host(1024);
  EXPECT_EQ(cuMemcpyHtoD_v2(memory, host.data(), 513), CudaResult::kInvalidValue);
  EXPECT_EQ(cuMemcpyDtoH_v2(host.data(), memory + 100, 500), CudaResult::kInvalidValue);
  ASSERT_TRUE(succeeds(cuMemFree_v2(memory)));
  EXPECT_EQ(cuMemcpyHtoD_v2(memory, host.data(), 1), CudaResult::kInvalidValue);
}

TEST_F(FakeMemoryDeathTest, HostThatTouchesDeviceMemoryDies) {
  auto* const memory = reinterpret_cast<volatile char*>(allocate(512));
  EXPECT_DEATH(*memory = 1, "");
  EXPECT_DEATH(static_cast<void>(*memory), "");
}

TEST_F(FakeMemoryDeathTest, KernelThatTouchesMemoryBehindAnAllocationDies) {
  std::byte* const memory = touchable(allocate(1024));
  memory[1023] = std::byte{1};
  EXPECT_DEATH(memory[1024] = std::byte{1}, "");
}

TEST_F(FakeMemoryDeathTest, KernelThatTouchesFreedMemoryDies) {
  const CudaDevicePointer memory = allocate(512);
  *touchable(memory) = std::byte{1};
  ASSERT_TRUE(succeeds(cuMemFree_v2(memory)));
  EXPECT_DEATH(*touchable(memory) = std::byte{1}, "");
}

}  // namespace
}  // namespace signccl
