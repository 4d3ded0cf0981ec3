// SPDX-License-Identifier: Apache-2.0
// What tests that are not in C++ call: the machine that the fake poses as, and calls that fail.
#include "fake_cuda/fake_cuda.h"

extern "C" {

/// fake_cuda::reset() with so many devices, queues of each, and a seed of random delays.
SIGNCCL_FAKE_CUDA_EXPORT void fakeCudaPoseAs(int devices, int queues, unsigned long long seed) {
  fake_cuda::Config config;
  config.devices = devices;
  config.queues = queues;
  config.seed = seed;
  fake_cuda::reset(config);
}

/// fake_cuda::failCallsOf() with an error of the driver.
SIGNCCL_FAKE_CUDA_EXPORT void fakeCudaFailCallsOf(const char* symbol, int result) {
  fake_cuda::failCallsOf(symbol, static_cast<signccl::CudaResult>(result));
}
}
