// SPDX-License-Identifier: Apache-2.0
#include "device/buffers.h"

#include <vector>

#include <gmock/gmock.h>

#include "device/memory.h"
#include "fake_cuda/fake_cuda_test.h"
#include "support/caught.h"

namespace signccl {
namespace {

using testing::ContainsRegex;

class BuffersTest : public FakeCudaTest {
 protected:
  BuffersTest() {
    fake_cuda::reset({.devices = 2});
    device_ = Device::get(0);
  }

  static UserBuffer buffer(const char* name, const void* pointer, std::size_t bytes, std::size_t element_bytes = 4) {
    return {name, pointer, bytes, element_bytes};
  }

  /// What is said of the buffers, which must be signcclInvalidArgument.
  static std::string objectionTo(const std::vector<UserBuffer>& buffers) {
    const Caught error = caught([&] { deviceOfBuffers(buffers); });
    EXPECT_EQ(error.code, signcclInvalidArgument);
    return error.message;
  }

  std::shared_ptr<Device> device_;
  std::vector<float> host_ = std::vector<float>(100);
};

TEST_F(BuffersTest, HostBuffersAreOnNoDevice) {
  const PinnedMemory pinned(device_, 400);
  const std::vector<UserBuffer> buffers{buffer("sendbuff", host_.data(), 400), buffer("recvbuff", pinned.host(), 400)};
  EXPECT_EQ(deviceOfBuffers(buffers), kHostBuffers);
}

TEST_F(BuffersTest, DeviceBuffersAreOnTheirDevice) {
  const auto second = Device::get(1);
  const DeviceMemory send(second, 400);
  const DeviceMemory receive(second, 400);
  const std::vector<UserBuffer> buffers{buffer("sendbuff", send.pointer(), 400),
                                        buffer("recvbuff", receive.pointer(), 400)};
  EXPECT_EQ(deviceOfBuffers(buffers), 1);
}

TEST_F(BuffersTest, PinnedMemoryMayStandBesideDeviceMemory) {
  const DeviceMemory send(device_, 400);
  const PinnedMemory receive(device_, 400);
  const std::vector<UserBuffer> buffers{buffer("sendbuff", send.pointer(), 400),
                                        buffer("recvbuff", receive.host(), 400)};
  EXPECT_EQ(deviceOfBuffers(buffers), 0);
}

TEST_F(BuffersTest, BuffersOfNoBytesAreAnywhere) {
  EXPECT_EQ(deviceOfBuffers(std::vector{buffer("sendbuff", nullptr, 0)}), kHostBuffers);
  EXPECT_EQ(deviceOfBuffers({}), kHostBuffers);
}

TEST_F(BuffersTest, ManagedMemoryIsRefused) {
  const ContextScope scope(*device_);
  CudaDevicePointer memory = 0;
  ASSERT_TRUE(succeeds(cuMemAllocManaged(&memory, 400, 1)));
  EXPECT_THAT(objectionTo({buffer("sendbuff", reinterpret_cast<void*>(memory), 400)}),
              ContainsRegex("^sendbuff 0x[0-9a-f]+ of 400 bytes is managed memory of device 0, whose pages would move "
                            "with every exchange; expected memory of cudaMalloc\\(\\) or of the host$"));
}

TEST_F(BuffersTest, FreedMemoryIsRefused) {
  const void* freed = nullptr;
  {
    const DeviceMemory memory(device_, 400);
    freed = memory.pointer();
  }
  EXPECT_THAT(objectionTo({buffer("recvbuff", freed, 400)}),
              ContainsRegex("^recvbuff 0x[0-9a-f]+ of 400 bytes is neither memory that CUDA knows nor host memory of "
                            "this process; expected a buffer that is not freed yet$"));
}

TEST_F(BuffersTest, AllocationThatEndsTooEarlyIsRefused) {
  const DeviceMemory memory(device_, 400);
  const auto* const middle = static_cast<const std::byte*>(memory.pointer()) + 100;
  EXPECT_THAT(
      objectionTo({buffer("sendbuff", middle, 400)}),
      ContainsRegex("^sendbuff 0x[0-9a-f]+ of 400 bytes is device memory of device 0 of which only 300 bytes "
                    "belong to its allocation \\(400 bytes at 0x[0-9a-f]+\\); expected an allocation that holds "
                    "all of it$"));
}

TEST_F(BuffersTest, AddressesWithoutMemoryAreRefused) {
  const auto* const memory = static_cast<const std::byte*>(fake_cuda::reserve(0, 1 << 20, 1 << 16));
  EXPECT_THAT(objectionTo({buffer("sendbuff", memory, 1 << 17)}),
              ContainsRegex("^sendbuff 0x[0-9a-f]+ of 131072 bytes is device memory of device 0 that ends before "
                            "0x[0-9a-f]+, which is reserved and has no memory; expected memory that is mapped$"));
  EXPECT_THAT(objectionTo({buffer("sendbuff", memory + (1 << 16), 4)}),
              ContainsRegex("^sendbuff 0x[0-9a-f]+ of 4 bytes is an address that is reserved for device 0 and has no "
                            "memory; expected memory that is mapped$"));
}

TEST_F(BuffersTest, DevicePointerThatIsMisalignedIsRefused) {
  const DeviceMemory memory(device_, 400);
  const auto* const odd = static_cast<const std::byte*>(memory.pointer()) + 2;
  EXPECT_EQ(deviceOfBuffers(std::vector{buffer("sendbuff", odd, 40, 2)}), 0);
  EXPECT_THAT(objectionTo({buffer("sendbuff", odd, 40, 4)}),
              ContainsRegex("^sendbuff 0x[0-9a-f]+ of 40 bytes is a misaligned device pointer of device 0; expected a "
                            "multiple of 4, the size of an element, as a tensor's data pointer is$"));
}

TEST_F(BuffersTest, BuffersOfTwoDevicesAreRefused) {
  const auto second = Device::get(1);
  const DeviceMemory send(device_, 400);
  const DeviceMemory receive(second, 400);
  EXPECT_THAT(
      objectionTo({buffer("sendbuff", send.pointer(), 400), buffer("recvbuff", receive.pointer(), 400)}),
      ContainsRegex("^sendbuff 0x[0-9a-f]+ of 400 bytes is device memory of device 0, and recvbuff 0x[0-9a-f]+ "
                    "of 400 bytes is device memory of device 1; expected all buffers of a call on one device$"));
}

TEST_F(BuffersTest, PageableMemoryBesideDeviceMemoryIsRefused) {
  const DeviceMemory send(device_, 400);
  EXPECT_THAT(objectionTo({buffer("recvbuff", host_.data(), 400), buffer("sendbuff", send.pointer(), 400)}),
              ContainsRegex("^sendbuff 0x[0-9a-f]+ of 400 bytes is device memory of device 0, and recvbuff 0x[0-9a-f]+ "
                            "of 400 bytes is pageable host memory; expected all buffers of a call on the device, or in "
                            "memory of cudaMallocHost\\(\\)$"));
}

TEST_F(BuffersTest, StreamOfTheDeviceIsTaken) {
  CudaStream stream = nullptr;
  {
    const ContextScope scope(*device_);
    ASSERT_TRUE(succeeds(cuStreamCreateWithPriority(&stream, kCudaStreamNonBlocking, 0)));
  }
  EXPECT_EQ(caught([&] { checkStream(*device_, stream); }), Caught{});
  for (CudaStream any : {CudaStream{}, cudaLegacyStream(), cudaPerThreadStream()}) {
    EXPECT_EQ(caught([&] { checkStream(*device_, any); }), Caught{}) << "a default stream";
  }
  EXPECT_EQ(currentContext(), nullptr);
}

TEST_F(BuffersTest, StreamOfAnotherDeviceIsRefused) {
  const auto second = Device::get(1);
  CudaStream stream = nullptr;
  {
    const ContextScope scope(*second);
    ASSERT_TRUE(succeeds(cuStreamCreateWithPriority(&stream, kCudaStreamNonBlocking, 0)));
  }
  const Caught error = caught([&] { checkStream(*device_, stream); });
  EXPECT_EQ(error.code, signcclInvalidArgument);
  EXPECT_THAT(error.message,
              ContainsRegex("^stream 0x[0-9a-f]+ belongs to device 1, and the buffers are on device 0 \\(Fake GPU 0, "
                            "0000:10:00\\); expected a stream of the buffers' device$"));
  EXPECT_EQ(currentContext(), nullptr);
}

TEST_F(BuffersTest, StreamOfAContextThatIsNotThePrimaryOneIsRefused) {
  CudaContext theirs = nullptr;
  CudaStream stream = nullptr;
  ASSERT_TRUE(succeeds(cuCtxCreate_v2(&theirs, 0, 0)));
  ASSERT_TRUE(succeeds(cuStreamCreateWithPriority(&stream, kCudaStreamNonBlocking, 0)));
  const Caught error = caught([&] { checkStream(*device_, stream); });
  EXPECT_EQ(error.code, signcclInvalidArgument);
  EXPECT_THAT(error.message,
              ContainsRegex("^stream 0x[0-9a-f]+ belongs to a context of its own on device 0 \\(Fake GPU 0, "
                            "0000:10:00\\); expected one of the primary context, as those of the CUDA runtime and of "
                            "PyTorch are$"));
  EXPECT_EQ(currentContext(), theirs);
}

TEST_F(BuffersTest, StreamThatIsDeadIsAnErrorOfCuda) {
  CudaStream stream = nullptr;
  const ContextScope scope(*device_);
  ASSERT_TRUE(succeeds(cuStreamCreateWithPriority(&stream, kCudaStreamNonBlocking, 0)));
  fake_cuda::failStream(stream, CudaResult::kLaunchFailed);
  EXPECT_THAT(caught([&] { checkStream(*device_, stream); }).message,
              ContainsRegex("^cuStreamGetCtx of stream 0x[0-9a-f]+ for device 0 .*: CUDA_ERROR_LAUNCH_FAILED"));
}

}  // namespace
}  // namespace signccl
