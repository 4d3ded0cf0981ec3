// SPDX-License-Identifier: Apache-2.0
// A test with a fake CUDA driver of its own, in the state of a fresh process.
#ifndef SIGNCCL_TESTS_FAKE_CUDA_FAKE_CUDA_TEST_H_
#define SIGNCCL_TESTS_FAKE_CUDA_FAKE_CUDA_TEST_H_

#include <gtest/gtest.h>

#include "fake_cuda/driver_api.h"
#include "fake_cuda/fake_cuda.h"

namespace signccl {

/// Succeeds if a call of the driver does.
inline testing::AssertionResult succeeds(CudaResult result) {
  if (result == CudaResult::kSuccess) return testing::AssertionSuccess();
  const char* name = nullptr;
  cuGetErrorName(result, &name);
  return testing::AssertionFailure() << (name == nullptr ? "an unknown error" : name) << ", "
                                     << static_cast<unsigned>(result);
}

/// Begins and ends with one device and no context.
class FakeCudaTest : public testing::Test {
 protected:
  FakeCudaTest() { fake_cuda::reset(); }
  ~FakeCudaTest() override { fake_cuda::reset(); }
  FakeCudaTest(const FakeCudaTest&) = delete;
  FakeCudaTest& operator=(const FakeCudaTest&) = delete;

  static CudaContext currentContext() {
    CudaContext current = nullptr;
    EXPECT_TRUE(succeeds(cuCtxGetCurrent(&current)));
    return current;
  }
};

}  // namespace signccl

#endif  // SIGNCCL_TESTS_FAKE_CUDA_FAKE_CUDA_TEST_H_
