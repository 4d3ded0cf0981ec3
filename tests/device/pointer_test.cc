// SPDX-License-Identifier: Apache-2.0
#include "device/pointer.h"

#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <sys/mman.h>

#include "device/memory.h"
#include "fake_cuda/fake_cuda_test.h"
#include "forked_child.h"
#include "support/caught.h"

namespace signccl {
namespace {

/// A device, and no current context.
class PointerTest : public FakeCudaTest {
 protected:
  std::uintptr_t addressOf(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

  std::shared_ptr<Device> device_ = Device::get(0);
};

TEST_F(PointerTest, HostMemoryThatCudaDoesNotKnowIsPageable) {
  const std::vector<char> memory(100);
  const PointerFacts facts = describePointer(memory.data(), memory.size());
  EXPECT_EQ(facts.kind, PointerKind::kPageable);
  EXPECT_EQ(facts.device, -1);
  EXPECT_TRUE(facts.holds(memory.data(), 1 << 30)) << "nobody knows where it ends";
}

TEST_F(PointerTest, DeviceMemoryHasItsDeviceAndRange) {
  const DeviceMemory memory(device_, 4000);
  const auto* const begin = static_cast<const std::byte*>(memory.pointer());
  const PointerFacts facts = describePointer(begin + 1000, 3000);
  EXPECT_EQ(facts.kind, PointerKind::kDevice);
  EXPECT_EQ(facts.device, 0);
  EXPECT_EQ(facts.begin, memory.address());
  EXPECT_EQ(facts.bytes, 4000U);
  EXPECT_EQ(facts.unmapped, 0U);
  EXPECT_TRUE(facts.holds(begin + 1000, 3000));
  EXPECT_FALSE(facts.holds(begin + 1000, 3001));
  EXPECT_EQ(currentContext(), nullptr);
}

TEST_F(PointerTest, DeviceIsThatOfTheMemoryWhicheverContextIsCurrent) {
  device_.reset();
  fake_cuda::reset({.devices = 2});
  const auto first = Device::get(0);
  const auto second = Device::get(1);
  const DeviceMemory memory(second, 512);
  EXPECT_EQ(describePointer(memory.pointer(), 512).device, 1) << "no context is current";
  const ContextScope scope(*first);
  EXPECT_EQ(describePointer(memory.pointer(), 512).device, 1) << "that of the other device is current";
  EXPECT_EQ(currentContext(), first->context());
}

TEST_F(PointerTest, MemoryIsFoundWhereTheDriverFailsWithoutContext) {
  device_.reset();
  fake_cuda::reset({.pointer_query_needs_context = true});
  const auto device = Device::get(0);
  const DeviceMemory memory(device, 512);
  EXPECT_EQ(describePointer(memory.pointer(), 512).kind, PointerKind::kDevice);
  const int local = 0;
  EXPECT_EQ(describePointer(&local, sizeof local).kind, PointerKind::kPageable);
}

TEST_F(PointerTest, QueryMakesNoContextOfADeviceThatHasNone) {
  device_.reset();
  fake_cuda::reset({.devices = 2});
  const auto second = Device::get(1);
  const int local = 0;
  EXPECT_EQ(describePointer(&local, sizeof local).kind, PointerKind::kPageable);
  unsigned int flags = 0;
  int is_active = 1;
  ASSERT_TRUE(succeeds(cuDevicePrimaryCtxGetState(0, &flags, &is_active)));
  EXPECT_EQ(is_active, 0);
}

TEST_F(PointerTest, MemoryOfAPoolIsDeviceMemory) {
  const ContextScope scope(*device_);
  CudaDevicePointer memory = 0;
  ASSERT_TRUE(succeeds(cuMemAllocAsync(&memory, 512, nullptr)));
  EXPECT_EQ(describePointer(reinterpret_cast<void*>(memory), 512).kind, PointerKind::kDevice);
}

TEST_F(PointerTest, AllocatedHostMemoryIsPinned) {
  const PinnedMemory memory(device_, 512);
  EXPECT_EQ(describePointer(memory.host() + 256, 256).kind, PointerKind::kPinned);
}

TEST_F(PointerTest, RegisteredHostMemoryIsPinnedAsFarAsItIsRegistered) {
  std::vector<char> memory(1000);
  const ContextScope scope(*device_);
  ASSERT_TRUE(succeeds(cuMemHostRegister_v2(memory.data(), 500, 0)));
  EXPECT_EQ(describePointer(memory.data(), 500).kind, PointerKind::kPinned);
  EXPECT_EQ(describePointer(memory.data(), 501).kind, PointerKind::kPageable);
  ASSERT_TRUE(succeeds(cuMemHostUnregister(memory.data())));
  EXPECT_EQ(describePointer(memory.data(), 500).kind, PointerKind::kPageable);
}

TEST_F(PointerTest, ManagedMemoryIsManaged) {
  const ContextScope scope(*device_);
  CudaDevicePointer memory = 0;
  ASSERT_TRUE(succeeds(cuMemAllocManaged(&memory, 512, 1)));
  EXPECT_EQ(describePointer(reinterpret_cast<void*>(memory), 512).kind, PointerKind::kManaged);
}

TEST_F(PointerTest, FreedDeviceMemoryIsUnknown) {
  const void* freed = nullptr;
  {
    const DeviceMemory memory(device_, 512);
    freed = memory.pointer();
  }
  EXPECT_EQ(describePointer(freed, 512).kind, PointerKind::kUnknown);
}

TEST_F(PointerTest, ReservedAddressHasMemoryAsFarAsItIsMapped) {
  const auto* const memory = static_cast<const std::byte*>(fake_cuda::reserve(0, 1 << 20, 1 << 16));
  const PointerFacts whole = describePointer(memory, 1 << 16);
  EXPECT_EQ(whole.kind, PointerKind::kDevice);
  EXPECT_EQ(whole.unmapped, 0U);
  EXPECT_EQ(describePointer(memory, (1 << 16) + 1).unmapped, addressOf(memory) + (1 << 16));
  EXPECT_EQ(describePointer(memory + (1 << 16), 1).kind, PointerKind::kUnmapped);
}

TEST_F(PointerTest, OnlyMemoryWithoutContextIsAskedWhetherItIsMapped) {
  // A driver that answers so of all memory.
  CudaDriver driver = *loadedCudaDriver();
  driver.cuPointerGetAttributes = [](unsigned int count, CudaPointerAttribute* attributes, void** values,
                                     CudaDevicePointer pointer) {
    const CudaResult result = cuPointerGetAttributes(count, attributes, values, pointer);
    for (unsigned int i = 0; i < count; ++i) {
      if (attributes[i] == CudaPointerAttribute::kMapped) *static_cast<std::uint32_t*>(values[i]) = 0;
    }
    return result;
  };
  const DeviceMemory memory(device_, 512);
  EXPECT_EQ(describePointer(driver, memory.pointer(), 512).kind, PointerKind::kDevice);
  const void* const reserved = fake_cuda::reserve(0, 4096, 4096);
  EXPECT_EQ(describePointer(driver, reserved, 512).kind, PointerKind::kUnmapped);
}

TEST_F(PointerTest, BufferOfNoBytesIsPageable) {
  EXPECT_EQ(describePointer(nullptr, 0).kind, PointerKind::kPageable);
  EXPECT_EQ(describePointer(nullptr, 4).kind, PointerKind::kPageable) << "null is for others to refuse";
}

TEST_F(PointerTest, DriverThatNobodyUsesIsNotStarted) {
  device_.reset();
  fake_cuda::reset();
  const int local = 0;
  EXPECT_EQ(describePointer(&local, sizeof local).kind, PointerKind::kPageable);
  CudaContext context = nullptr;
  EXPECT_EQ(cuCtxGetCurrent(&context), CudaResult::kNotInitialized);
}

TEST_F(PointerTest, HostMemoryIsUsableWhereTheContextIsDead) {
  const DeviceMemory memory(device_, 512);
  const ContextScope scope(*device_);
  fake_cuda::failContext(0, CudaResult::kIllegalAddress);
  const int local = 0;
  EXPECT_EQ(describePointer(&local, sizeof local).kind, PointerKind::kPageable);
  const Caught error = caught([&] { describePointer(memory.pointer(), 512); });
  EXPECT_EQ(error.code, signcclUnhandledCudaError);
  EXPECT_THAT(error.message,
              testing::ContainsRegex("cuPointerGetAttributes of 0x[0-9a-f]+: CUDA_ERROR_ILLEGAL_ADDRESS"));
}

TEST_F(PointerTest, ForkedChildHasItsHostMemoryAndNoDeviceMemory) {
  const DeviceMemory memory(device_, 512);
  EXPECT_EQ(errorInChild([] {
              const int local = 0;
              const PointerFacts facts = describePointer(&local, sizeof local);
              if (facts.kind != PointerKind::kPageable) throw Error(signcclInternalError, "it is not pageable");
            }),
            "");
  EXPECT_THAT(errorInChild([&] { describePointer(memory.pointer(), 512); }),
              testing::HasSubstr("forked from process " + std::to_string(getpid())));
}

TEST_F(PointerTest, EveryKindHasAName) {
  for (int kind = 0; kind <= static_cast<int>(PointerKind::kUnknown); ++kind) {
    EXPECT_STRNE(pointerKindName(static_cast<PointerKind>(kind)), "?");
  }
}

TEST(IsReadableTest, TellsMemoryThatThisProcessCanReadFromOtherAddresses) {
  const std::size_t page = 4096;
  void* const pages = mmap(nullptr, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  const auto* const begin = static_cast<const std::byte*>(pages);
  ASSERT_EQ(mprotect(static_cast<std::byte*>(pages) + page, page, PROT_NONE), 0);
  EXPECT_TRUE(isReadable(begin));
  EXPECT_TRUE(isReadable(begin + page - 1));
  EXPECT_FALSE(isReadable(begin + page));
  munmap(pages, 2 * page);
  EXPECT_FALSE(isReadable(begin));
  EXPECT_FALSE(isReadable(nullptr));
}

}  // namespace
}  // namespace signccl
