// SPDX-License-Identifier: Apache-2.0
#include "device/device.h"

#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <sys/wait.h>

#include "device/memory.h"
#include "fake_cuda/fake_cuda_test.h"
#include "forked_child.h"
#include "support/caught.h"

namespace signccl {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class DeviceTest : public FakeCudaTest {
 protected:
  /// Whether anybody uses the primary context.
  static bool isActive(CudaDevice device) {
    unsigned int flags = 0;
    int is_active = 0;
    EXPECT_TRUE(succeeds(cuDevicePrimaryCtxGetState(device, &flags, &is_active)));
    return is_active != 0;
  }
};

TEST_F(DeviceTest, KnowsItsFacts) {
  fake_cuda::reset({.devices = 2, .major = 8, .minor = 6, .multiprocessors = 84});
  const auto device = Device::get(1);
  EXPECT_EQ(device->ordinal(), 1);
  EXPECT_EQ(device->facts().capability(), "8.6");
  EXPECT_EQ(device->facts().multiprocessors, 84);
  EXPECT_EQ(device->facts().threads_per_multiprocessor, 2048);
  EXPECT_FALSE(device->facts().shares_host_memory);
  EXPECT_EQ(device->facts().uuid, "GPU-01112131-4151-6171-8191-a1b1c1d1e1f1");
  EXPECT_EQ(device->text(), "device 1 (Fake GPU 1, 0000:11:00)");
}

TEST_F(DeviceTest, IsOneObjectForTheProcessWhileItIsUsed) {
  const auto device = Device::get(0);
  std::shared_ptr<Device> of_another_thread;
  std::thread([&] { of_another_thread = Device::get(0); }).join();
  EXPECT_EQ(device, of_another_thread);
}

TEST_F(DeviceTest, RetainsThePrimaryContextWhileItIsUsed) {
  {
    const auto device = Device::get(0);
    EXPECT_TRUE(isActive(0));
    const auto other = Device::get(0);
  }
  EXPECT_FALSE(isActive(0));
  EXPECT_NE(Device::get(0), nullptr) << "it can be used again";
}

TEST_F(DeviceTest, LeavesTheContextOfAnotherUserAlone) {
  CudaContext theirs = nullptr;
  ASSERT_TRUE(succeeds(cuInit(0)));
  ASSERT_TRUE(succeeds(cuDevicePrimaryCtxRetain(&theirs, 0)));
  EXPECT_EQ(Device::get(0)->context(), theirs);
  EXPECT_TRUE(isActive(0)) << "the other one uses it still";
}

TEST_F(DeviceTest, MakesNoContextCurrent) {
  const auto device = Device::get(0);
  EXPECT_EQ(currentContext(), nullptr);
}

TEST_F(DeviceTest, ScopeMakesTheContextCurrentAndRestoresTheOneBefore) {
  fake_cuda::reset({.devices = 2});
  const auto first = Device::get(0);
  const auto second = Device::get(1);
  {
    const ContextScope outer(*first);
    EXPECT_EQ(currentContext(), first->context());
    {
      const ContextScope inner(*second);
      EXPECT_EQ(currentContext(), second->context());
    }
    EXPECT_EQ(currentContext(), first->context());
  }
  EXPECT_EQ(currentContext(), nullptr);
}

TEST_F(DeviceTest, ScopeThatEndsByAnErrorRestoresTheContextBefore) {
  const auto device = Device::get(0);
  EXPECT_THROW(DeviceMemory(device, std::size_t{1} << 40), Error);
  EXPECT_EQ(currentContext(), nullptr);
}

TEST_F(DeviceTest, OrdinalThatDoesNotExistIsAnError) {
  EXPECT_EQ(caught([] { Device::get(1); }),
            (Caught{signcclUnhandledCudaError,
                    "cuDeviceGet of device 1: CUDA_ERROR_INVALID_DEVICE (invalid device ordinal)"}));
}

TEST_F(DeviceTest, MachineWithoutDevicesIsAnError) {
  fake_cuda::reset({.devices = 0});
  EXPECT_EQ(caught([] { Device::get(0); }),
            (Caught{signcclUnhandledCudaError, "cuInit: CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)"}));
}

TEST_F(DeviceTest, ContextThatCannotBeMadeIsAnErrorThatNamesTheDevice) {
  fake_cuda::failCallsOf("cuDevicePrimaryCtxRetain", CudaResult::kOutOfMemory);
  EXPECT_EQ(caught([] { Device::get(0); }),
            (Caught{signcclUnhandledCudaError,
                    "cuDevicePrimaryCtxRetain of device 0 (Fake GPU 0, 0000:10:00): CUDA_ERROR_OUT_OF_MEMORY (out of "
                    "memory)"}));
}

TEST_F(DeviceTest, ContextThatIsDeadIsAnErrorOfItsUser) {
  const auto device = Device::get(0);
  fake_cuda::failContext(0, CudaResult::kIllegalAddress);
  EXPECT_THAT(caught([&] { const DeviceMemory memory(device, 4096); }).message,
              HasSubstr("cuMemAlloc of 4096 bytes on device 0 (Fake GPU 0, 0000:10:00): CUDA_ERROR_ILLEGAL_ADDRESS"));
}

TEST_F(DeviceTest, ForkedChildOfAProcessThatUsedCudaIsTold) {
  const auto device = Device::get(0);
  const auto said = AllOf(HasSubstr("forked from process " + std::to_string(getpid())), HasSubstr("'spawn'"));
  EXPECT_THAT(errorInChild([] { Device::get(0); }), said) << "a device that it asks for";
  EXPECT_THAT(errorInChild([&] { const ContextScope scope(*device); }), said) << "a device that it inherits";
}

TEST_F(DeviceTest, ForkedChildLeavesTheDevicesOfItsParentAlone) {
  auto device = Device::get(0);
  const long calls = fake_cuda::callsMade();
  EXPECT_EQ(errorInChild([&] {
              device.reset();
              if (fake_cuda::callsMade() != calls) throw Error(signcclInternalError, "the driver was called");
            }),
            "");
}

TEST_F(DeviceTest, ForkedChildOfAProcessThatUsedNoCudaCanUseIt) {
  EXPECT_EQ(errorInChild([] { Device::get(0); }), "");
}

}  // namespace
}  // namespace signccl
