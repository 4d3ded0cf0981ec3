// SPDX-License-Identifier: Apache-2.0
#include "cuda/driver.h"

#include <dlfcn.h>
#include <string>

#include "base/error.h"
#include "device/driver_error.h"

namespace signccl::perf {
namespace {

/// What benchmarks need beside the functions that the library uses.
struct Functions {
  CudaResult (*mem_get_info)(std::size_t* free_bytes, std::size_t* all_bytes) = nullptr;
  CudaResult (*event_elapsed_time)(float* milliseconds, CudaEvent start, CudaEvent end) = nullptr;
};

void* library() {
  static void* const loaded = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (loaded == nullptr) throw NoCuda("there is no CUDA driver: libcuda.so.1 cannot be loaded");
  return loaded;
}

Functions loadFunctions() {
  Functions functions;
  functions.mem_get_info = reinterpret_cast<decltype(functions.mem_get_info)>(driverFunction("cuMemGetInfo_v2"));
  functions.event_elapsed_time =
      reinterpret_cast<decltype(functions.event_elapsed_time)>(driverFunction("cuEventElapsedTime"));
  try {
    requireSuccess(requiredCudaDriver("a benchmark").cuInit(0), "cuInit");
  } catch (const Error& error) {
    throw NoCuda(error.what());
  }
  return functions;
}

const Functions& functions() {
  static const Functions loaded = loadFunctions();
  return loaded;
}

}  // namespace

void loadCuda() { functions(); }

void* driverFunction(const char* symbol) {
  void* const function = dlsym(library(), symbol);
  if (function == nullptr) throw NoCuda(std::string("the CUDA driver lacks ") + symbol);
  return function;
}

void requireSuccess(CudaResult result, const char* call) {
  if (result != CudaResult::kSuccess) {
    throw NoCuda(std::string(call) + " failed: " + cudaResultText(requiredCudaDriver("a benchmark"), result));
  }
}

int countGpus() {
  loadCuda();
  int count = 0;
  requireSuccess(requiredCudaDriver("a benchmark").cuDeviceGetCount(&count), "cuDeviceGetCount");
  return count;
}

std::size_t freeBytes(const Device& device) {
  const ContextScope scope(device);
  std::size_t free_bytes = 0;
  std::size_t all_bytes = 0;
  requireSuccess(functions().mem_get_info(&free_bytes, &all_bytes), "cuMemGetInfo");
  return free_bytes;
}

float elapsedMs(CudaEvent start, CudaEvent end) {
  float milliseconds = 0;
  requireSuccess(functions().event_elapsed_time(&milliseconds, start, end), "cuEventElapsedTime");
  return milliseconds;
}

}  // namespace signccl::perf
