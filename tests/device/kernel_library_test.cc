// SPDX-License-Identifier: Apache-2.0
#include "device/kernel_library.h"

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "device/memory.h"
#include "device/stream.h"
#include "fake_cuda/fake_cuda_test.h"
#include "support/caught.h"

namespace signccl {
namespace {

using testing::Each;
using testing::HasSubstr;

struct AddArguments {
  const int* in;
  int* out;
  int summand;
  std::size_t count;
};

/// Each block of the grid adds to every blocks-th element.
void add(std::uint32_t blocks, std::uint32_t threads, const void* arguments) {
  const auto& given = *static_cast<const AddArguments*>(arguments);
  EXPECT_EQ(threads, kBlockThreads);
  const int* const in = fake_cuda::FakeMemory::translate(given.in);
  int* const out = fake_cuda::FakeMemory::translate(given.out);
  for (std::uint32_t block = 0; block < blocks; ++block) {
    for (std::size_t i = block; i < given.count; i += blocks) out[i] = in[i] + given.summand;
  }
}

constexpr std::array kNames{"test_idle", "test_add"};
constexpr std::size_t kAdd = 1;

class KernelLibraryTest : public FakeCudaTest {
 protected:
  KernelLibraryTest() {
    fake_cuda::registerKernel("test_idle", 1, [](std::uint32_t, std::uint32_t, const void*) {});
    fake_cuda::registerKernel("test_add", sizeof(AddArguments), add);
  }

  /// A device of this machine, and a stream on it.
  void begin(const fake_cuda::Config& config = {}) {
    fake_cuda::reset(config);
    device_ = Device::get(0);
    const ContextScope scope(*device_);
    ASSERT_TRUE(succeeds(cuStreamCreateWithPriority(&stream_, kCudaStreamNonBlocking, 0)));
  }

  /// What loading the kernels throws.
  Caught failureToLoad() {
    return caught([&] { const KernelLibrary library(device_, image_, kNames); });
  }

  std::shared_ptr<Device> device_;
  CudaStream stream_ = nullptr;
  KernelImage image_{"fatbin", 6, "libsignccl_cuda.so"};
};

TEST_F(KernelLibraryTest, LaunchRunsTheKernelWithItsArgumentsOnDeviceMemory) {
  begin();
  const KernelLibrary library(device_, image_, kNames);
  const DeviceMemory memory(device_, 1000 * sizeof(int));
  const std::vector<int> before(1000, 7);
  std::vector<int> after(1000);
  auto* const elements = static_cast<int*>(memory.pointer());
  AddArguments arguments{elements, elements, 35, 1000};
  {
    const ContextScope scope(*device_);
    ASSERT_TRUE(succeeds(cuMemcpyHtoDAsync_v2(memory.address(), before.data(), 1000 * sizeof(int), stream_)));
    library.launch({kAdd, 3, &arguments, sizeof arguments, stream_});
    arguments = {};  // copied by then
    ASSERT_TRUE(succeeds(cuMemcpyDtoHAsync_v2(after.data(), memory.address(), 1000 * sizeof(int), stream_)));
    ASSERT_TRUE(succeeds(cuStreamSynchronize(stream_)));
  }
  EXPECT_THAT(after, Each(42));
  EXPECT_EQ(currentContext(), nullptr);
}

TEST_F(KernelLibraryTest, LaunchDoesNotWaitForTheStream) {
  begin();
  const KernelLibrary library(device_, image_, kNames);
  const PinnedMemory memory(device_, 4);
  auto& word = *reinterpret_cast<std::uint32_t*>(memory.host());
  std::atomic_ref(word).store(0);
  std::array operations{waitUntilReached(memory.address(), 1)};
  enqueueMemoryOperations(*device_, stream_, operations);
  const AddArguments arguments{};
  library.launch({kAdd, 1, &arguments, sizeof arguments, stream_});
  const ContextScope scope(*device_);
  EXPECT_EQ(cuStreamQuery(stream_), CudaResult::kNotReady);
  std::atomic_ref(word).store(1);
  EXPECT_TRUE(succeeds(cuStreamSynchronize(stream_)));
}

TEST_F(KernelLibraryTest, ResidentBlocksFillTheDevice) {
  begin({.multiprocessors = 4});
  const KernelLibrary library(device_, image_, kNames);
  EXPECT_EQ(library.residentBlocks(kAdd), 4U * 2048 / kBlockThreads);
}

TEST_F(KernelLibraryTest, EveryDeviceHasItsOwn) {
  begin({.devices = 2});
  const auto second = Device::get(1);
  const KernelLibrary first_library(device_, image_, kNames);
  const KernelLibrary second_library(second, image_, kNames);
  EXPECT_EQ(&second_library.device(), second.get());
  EXPECT_EQ(currentContext(), nullptr);
}

TEST_F(KernelLibraryTest, ThreadsLaunchOnStreamsOfTheirOwn) {
  begin({.queues = 2, .seed = 3});
  const KernelLibrary library(device_, image_, kNames);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const std::shared_ptr<Device> device = Device::get(0);
      const Stream stream(device);
      const PinnedMemory memory(device, sizeof(int));
      auto* const element = reinterpret_cast<int*>(memory.host());
      *element = 0;
      const AddArguments arguments{element, element, 1, 1};
      for (int turn = 0; turn < 50; ++turn) library.launch({kAdd, 1, &arguments, sizeof arguments, stream.handle()});
      const ContextScope scope(*device);
      EXPECT_TRUE(succeeds(cuStreamSynchronize(stream.handle())));
      EXPECT_EQ(*element, 50);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(KernelLibraryTest, ImageWithoutCodeForTheDeviceIsAnErrorWithItsComputeCapability) {
  begin({.major = 6, .minor = 1, .image_result = CudaResult::kNoBinaryForGpu});
  EXPECT_EQ(failureToLoad(),
            (Caught{signcclUnhandledCudaError,
                    "libsignccl_cuda.so has no code for device 0 (Fake GPU 0, 0000:10:00) of compute capability 6.1: "
                    "CUDA_ERROR_NO_BINARY_FOR_GPU (no kernel image is available for the device); build SignCCL with "
                    "this architecture, or use a newer device"}));
}

TEST_F(KernelLibraryTest, DriverThatLoadsLazilyFindsOutLaterThatThereIsNoCode) {
  begin();
  fake_cuda::failCallsOf("cuKernelGetFunction", CudaResult::kNoBinaryForGpu);
  EXPECT_THAT(failureToLoad().message, HasSubstr("has no code for device 0 (Fake GPU 0, 0000:10:00) of compute"));
}

TEST_F(KernelLibraryTest, DriverThatIsOlderThanTheImageIsAnErrorWithItsVersion) {
  begin({.driver_version = 12020, .image_result = CudaResult::kUnsupportedPtxVersion});
  const std::string message = failureToLoad().message;
  EXPECT_THAT(message, HasSubstr("libsignccl_cuda.so was built with a newer CUDA than that of the driver, "));
  EXPECT_THAT(message, HasSubstr("CUDA_ERROR_UNSUPPORTED_PTX_VERSION (unsupported toolchain); update the driver"));
}

TEST_F(KernelLibraryTest, ImageThatIsNoneIsAnError) {
  begin({.image_result = CudaResult::kInvalidValue});
  EXPECT_EQ(failureToLoad().message,
            "cuLibraryLoadData of libsignccl_cuda.so for device 0 (Fake GPU 0, 0000:10:00): CUDA_ERROR_INVALID_VALUE "
            "(invalid argument)");
}

TEST_F(KernelLibraryTest, KernelThatTheImageLacksIsAnErrorWithItsName) {
  begin();
  const std::array<const char*, 1> names{"test_nothing"};
  EXPECT_EQ(caught([&] { const KernelLibrary library(device_, image_, names); }),
            (Caught{signcclUnhandledCudaError,
                    "cuLibraryGetKernel of test_nothing in libsignccl_cuda.so: CUDA_ERROR_NOT_FOUND (named symbol not "
                    "found)"}));
}

TEST_F(KernelLibraryTest, LaunchThatFailsIsAnErrorWithTheKernelsName) {
  begin();
  const KernelLibrary library(device_, image_, kNames);
  fake_cuda::failStream(stream_, CudaResult::kLaunchFailed);
  const AddArguments arguments{};
  EXPECT_EQ(caught([&] { library.launch({kAdd, 3, &arguments, sizeof arguments, stream_}); }),
            (Caught{signcclUnhandledCudaError,
                    "cuLaunchKernelEx of test_add with 3 blocks on device 0 (Fake GPU 0, 0000:10:00): "
                    "CUDA_ERROR_LAUNCH_FAILED (unspecified launch failure)"}));
  EXPECT_EQ(currentContext(), nullptr);
}

TEST_F(KernelLibraryTest, LaunchWithoutBlocksIsABug) {
  begin();
  const KernelLibrary library(device_, image_, kNames);
  const AddArguments arguments{};
  EXPECT_EQ(caught([&] { library.launch({kAdd, 0, &arguments, sizeof arguments, stream_}); }).code,
            signcclInternalError);
}

}  // namespace
}  // namespace signccl
