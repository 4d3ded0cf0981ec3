// SPDX-License-Identifier: Apache-2.0
#include "device/driver_error.h"

#include "fake_cuda/fake_cuda_test.h"
#include "support/caught.h"

namespace signccl {
namespace {

TEST(DriverErrorTest, SuccessIsNoError) {
  EXPECT_EQ(caught([] { checkCuda(*loadedCudaDriver(), CudaResult::kSuccess, "cuMemAlloc", "of 7 bytes"); }), Caught{});
}

TEST(DriverErrorTest, ErrorNamesTheCallWhatItWasToDoAndTheDriversWords) {
  EXPECT_EQ(caught([] {
              checkCuda(*loadedCudaDriver(), CudaResult::kOutOfMemory, "cuMemAlloc", "of ", 4096, " bytes on device ",
                        0);
            }),
            (Caught{signcclUnhandledCudaError,
                    "cuMemAlloc of 4096 bytes on device 0: CUDA_ERROR_OUT_OF_MEMORY (out of memory)"}));
  EXPECT_EQ(caught([] { checkCuda(*loadedCudaDriver(), CudaResult::kNoDevice, "cuInit"); }).message,
            "cuInit: CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)");
}

TEST(DriverErrorTest, ErrorThatTheDriverHasNoWordsForIsANumber) {
  EXPECT_EQ(cudaResultText(*loadedCudaDriver(), static_cast<CudaResult>(12345)), "CUDA error 12345");
  EXPECT_EQ(cudaResultText(CudaDriver{}, CudaResult::kOutOfMemory), "CUDA error 2");
}

TEST(DriverErrorTest, ErrorWithANameAndNoWordsHasItsName) {
  CudaDriver driver;
  driver.cuGetErrorName = cuGetErrorName;
  EXPECT_EQ(cudaResultText(driver, CudaResult::kOutOfMemory), "CUDA_ERROR_OUT_OF_MEMORY");
}

}  // namespace
}  // namespace signccl
