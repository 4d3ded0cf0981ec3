// SPDX-License-Identifier: Apache-2.0
#include "device/driver.h"

#include <filesystem>

#include <gmock/gmock.h>

#include "fake_cuda/fake_cuda_test.h"
#include "support/caught.h"

namespace signccl {
namespace {

TEST(DriverTest, DriverThatTheProgramIsLinkedWithIsFoundWithAllFunctions) {
  const CudaDriver* const driver = loadedCudaDriver();
  ASSERT_NE(driver, nullptr);
  EXPECT_EQ(std::filesystem::path(driver->file).filename(), "libcuda.so.1");
  EXPECT_EQ(driver->version, 13000);
  EXPECT_EQ(driver->missing, nullptr);
#define SIGNCCL_EXPECT(name, symbol, parameters) EXPECT_EQ(driver->name, &(symbol));
  SIGNCCL_CUDA_FUNCTIONS(SIGNCCL_EXPECT)
#undef SIGNCCL_EXPECT
}

TEST(DriverTest, DriverIsTheSameForAllCalls) {
  EXPECT_EQ(loadedCudaDriver(), loadedCudaDriver());
  EXPECT_EQ(&requiredCudaDriver("a test"), loadedCudaDriver());
}

TEST(DriverTest, VersionsAreToldAsMajorAndMinor) {
  EXPECT_EQ(cudaVersionText(12040), "12.4");
  EXPECT_EQ(cudaVersionText(13000), "13.0");
}

}  // namespace
}  // namespace signccl
