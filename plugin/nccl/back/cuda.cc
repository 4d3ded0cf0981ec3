// SPDX-License-Identifier: Apache-2.0
#include "nccl/back/cuda.h"

#include <dlfcn.h>
#include <string>

#include "nccl/back/failure.h"

namespace signccl::nccl_preload {
namespace {

template <typename Function>
void find(void* driver, Function& function, const char* symbol) {
  function = reinterpret_cast<Function>(dlsym(driver, symbol));
  if (function == nullptr) {
    throw Failure(Result::kSystemError, std::string("the CUDA driver has no function ") + symbol);
  }
}

Cuda load() {
  void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) {
    throw Failure(Result::kSystemError, "the CUDA driver libcuda.so.1 cannot be loaded");
  }
  Cuda functions;
#define SIGNCCL_FIND(name, symbol, parameters) find(driver, functions.name, #symbol);
  SIGNCCL_NCCL_PRELOAD_CUDA(SIGNCCL_FIND)
#undef SIGNCCL_FIND
  return functions;
}

}  // namespace

const Cuda& cuda() {
  static const Cuda functions = load();
  return functions;
}

void expectCudaSuccess(CudaResult result, const char* function) {
  if (result == kCudaSuccess) return;
  const char* name = nullptr;
  cuda().cuGetErrorName(result, &name);
  throw Failure(Result::kUnhandledCudaError,
                std::string(function) + " failed: " + (name == nullptr ? std::to_string(result) : name));
}

bool isIdle(Stream stream) {
  const CudaResult result = cuda().cuStreamQuery(stream);
  if (result == kCudaNotReady) return false;
  expectCudaSuccess(result, "cuStreamQuery");
  return true;
}

bool isCaptured(Stream stream) {
  int status = 0;
  // A stream that says nothing of itself, as the legacy one does while another is captured, is not for us.
  return cuda().cuStreamIsCapturing(stream, &status) != kCudaSuccess || status != 0;
}

DeviceScope::DeviceScope(int device) : device_(device) {
  CudaContext context = nullptr;
  expectCudaSuccess(cuda().cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
  const CudaResult result = cuda().cuCtxPushCurrent(context);
  if (result != kCudaSuccess) cuda().cuDevicePrimaryCtxRelease(device);
  expectCudaSuccess(result, "cuCtxPushCurrent");
  cuda().cuThreadExchangeStreamCaptureMode(&capture_mode_);
}

// NOLINTNEXTLINE(bugprone-exception-escape): the constructor has the functions already, so cuda() does not throw
DeviceScope::~DeviceScope() {
  cuda().cuThreadExchangeStreamCaptureMode(&capture_mode_);
  CudaContext context = nullptr;
  cuda().cuCtxPopCurrent(&context);
  cuda().cuDevicePrimaryCtxRelease(device_);
}

}  // namespace signccl::nccl_preload
