// SPDX-License-Identifier: Apache-2.0
// Whichever call of CUDA fails, there is an error that names it, and nothing is left behind.
#include <array>

#include <gmock/gmock.h>

#include "device/buffers.h"
#include "device/driver_error.h"
#include "device/kernel_library.h"
#include "device/memory.h"
#include "device/stream.h"
#include "fake_cuda/fake_cuda_test.h"
#include "support/caught.h"

namespace signccl {
namespace {

constexpr std::array kNames{"test_idle"};

class FailingCallsTest : public FakeCudaTest {
 protected:
  FailingCallsTest() {
    fake_cuda::registerKernel("test_idle", 1, [](std::uint32_t, std::uint32_t, const void*) {});
  }

  /// What a call with device buffers does, from the first look at the buffers to the last look at the stream.
  static void useDevice() {
    const auto device = Device::get(0);
    const KernelImage image{"fatbin", 6, "libsignccl_cuda.so"};
    const DeviceMemory memory(device, 512);
    const PinnedMemory slot(device, 512);
    const Stream stream(device);
    const KernelLibrary library(device, image, kNames);
    const UserBuffer buffer{"sendbuff", memory.pointer(), 512, 4};
    if (deviceOfBuffers({&buffer, 1}) != 0) throw Error(signcclInternalError, "device memory counts as the host's");
    checkStream(*device, stream.handle());
    const char arguments = 0;
    library.launch({0, 1, &arguments, sizeof arguments, stream.handle()});
    std::array operations{writeValue(slot.address(), 1), waitUntilReached(slot.address(), 1)};
    enqueueMemoryOperations(*device, stream.handle(), operations);
    const ContextScope scope(*device);
    checkCuda(device->driver(), device->driver().cuStreamSynchronize(stream.handle()), "cuStreamSynchronize");
  }

  static bool isContextActive() {
    unsigned int flags = 0;
    int is_active = 0;
    return cuDevicePrimaryCtxGetState(0, &flags, &is_active) == CudaResult::kSuccess && is_active != 0;
  }
};

TEST_F(FailingCallsTest, EachIsAnErrorThatNamesItAndLeavesNoContext) {
  useDevice();
  const long calls = fake_cuda::callsMade();
  ASSERT_GT(calls, 40);
  int errors = 0;
  for (long n = 1; n <= calls; ++n) {
    fake_cuda::reset();
    fake_cuda::failCall(n, CudaResult::kLaunchFailed);
    const Caught error = caught(useDevice);
    if (error.code == signcclSuccess) continue;  // a call that has another way, or that gives something back
    ++errors;
    EXPECT_EQ(error.code, signcclUnhandledCudaError) << n;
    EXPECT_THAT(error.message, testing::ContainsRegex("^cu[A-Z].*: CUDA_ERROR_LAUNCH_FAILED")) << n;
    ASSERT_TRUE(succeeds(cuInit(0)));
    EXPECT_FALSE(isContextActive()) << n << ": " << error.message;
    EXPECT_EQ(currentContext(), nullptr) << n << ": " << error.message;
  }
  EXPECT_GT(errors, 30);
}

}  // namespace
}  // namespace signccl
