// SPDX-License-Identifier: Apache-2.0
// When a driver is found that is loaded later, or is too old. This program has none; a process that gets one is a death
// test that ends well.
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <functional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/buffers.h"
#include "device/driver.h"
#include "device/pointer.h"
#include "support/caught.h"

namespace signccl {
namespace {

/// Runs `body` in a new process.
void expectAlone(const std::function<void()>& body) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        body();
        exit(testing::Test::HasFailure() ? 1 : 0);  // NOLINT(concurrency-mt-unsafe)
      },
      testing::ExitedWithCode(0), "");
}

void* load(const char* file) {
  void* const library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  EXPECT_NE(library, nullptr) << dlerror();
  return library;
}

TEST(DriverLoadingTest, ProcessWithoutDriverHasNoneAndIsTold) {
  expectAlone([] {
    EXPECT_EQ(loadedCudaDriver(), nullptr);
    EXPECT_EQ(caught([] { (void)requiredCudaDriver("a stream"); }),
              (Caught{signcclInvalidArgument,
                      "a stream needs a CUDA driver, and this process has none: libcuda.so.1 is not loaded, which "
                      "CUDA's runtime and PyTorch do when they are first used"}));
  });
}

TEST(DriverLoadingTest, WithoutDriverAllMemoryIsPageable) {
  expectAlone([] {
    int local = 0;
    EXPECT_EQ(describePointer(&local, sizeof local).kind, PointerKind::kPageable);
    const UserBuffer buffer{"sendbuff", &local, sizeof local, sizeof local};
    EXPECT_EQ(deviceOfBuffers({&buffer, 1}), kHostBuffers);
  });
}

TEST(DriverLoadingTest, DriverIsFoundOnceItIsLoaded) {
  expectAlone([] {
    EXPECT_EQ(loadedCudaDriver(), nullptr);
    EXPECT_EQ(loadedCudaDriver(), nullptr) << "nothing was loaded meanwhile";
    load("libm.so.6");
    EXPECT_EQ(loadedCudaDriver(), nullptr) << "this is no driver";
    load(SIGNCCL_TESTS_FAKE_CUDA);
    ASSERT_NE(loadedCudaDriver(), nullptr);
    EXPECT_EQ(loadedCudaDriver()->file, SIGNCCL_TESTS_FAKE_CUDA);
    EXPECT_EQ(loadedCudaDriver()->missing, nullptr);
  });
}

TEST(DriverLoadingTest, MemoryOfADeviceIsThoughtPossibleOnceADriverIsLoadedAndTheClockHasTicked) {
  expectAlone([] {
    EXPECT_FALSE(mayHaveDeviceMemory());
    EXPECT_FALSE(mayHaveDeviceMemory()) << "within the same tick, mostly";
    load(SIGNCCL_TESTS_FAKE_CUDA);
    timespec tick = {};
    ASSERT_EQ(clock_getres(CLOCK_MONOTONIC_COARSE, &tick), 0);
    std::this_thread::sleep_for(std::chrono::seconds(tick.tv_sec) + std::chrono::nanoseconds(2 * tick.tv_nsec));
    EXPECT_TRUE(mayHaveDeviceMemory());
  });
}

TEST(DriverLoadingTest, DriverThatLacksAFunctionIsRefusedWithItsNameAndVersion) {
  expectAlone([] {
    load(SIGNCCL_TESTS_OLD_CUDA);
    const Caught error = caught([] { (void)requiredCudaDriver("a stream"); });
    EXPECT_EQ(error.code, signcclSystemError);
    EXPECT_EQ(error.message, SIGNCCL_TESTS_OLD_CUDA
              " is the driver of CUDA 11.4 and has no cuGetErrorName; expected the driver of CUDA 12.0 or newer");
  });
}

TEST(DriverLoadingTest, HostMemoryIsUsableWhereTheDriverIsTooOld) {
  expectAlone([] {
    load(SIGNCCL_TESTS_OLD_CUDA);
    int local = 0;
    EXPECT_EQ(describePointer(&local, sizeof local).kind, PointerKind::kPageable);
  });
}

}  // namespace
}  // namespace signccl
