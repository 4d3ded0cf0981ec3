// SPDX-License-Identifier: Apache-2.0
// Devices and their names, and the errors' names.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <unistd.h>

#include "fake_cuda/driver_api.h"
#include "fake_cuda/state.h"

namespace signccl {

using fake_cuda::call;
using fake_cuda::Call;
using fake_cuda::deviceAt;
using fake_cuda::expect;
using fake_cuda::Needs;

namespace {

struct NamedResult {
  CudaResult result;
  const char* name;
  const char* words;
};

constexpr std::array kNames = std::to_array<NamedResult>({
    {CudaResult::kSuccess, "CUDA_SUCCESS", "no error"},
    {CudaResult::kInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CudaResult::kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CudaResult::kNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CudaResult::kDeinitialized, "CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
    {CudaResult::kNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CudaResult::kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CudaResult::kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CudaResult::kNoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for the device"},
    {CudaResult::kUnsupportedPtxVersion, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "unsupported toolchain"},
    {CudaResult::kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CudaResult::kNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CudaResult::kNotReady, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CudaResult::kIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {CudaResult::kContextIsDestroyed, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
    {CudaResult::kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {CudaResult::kNotPermitted, "CUDA_ERROR_NOT_PERMITTED", "operation not permitted"},
    {CudaResult::kNotSupported, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CudaResult::kStreamCaptureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {CudaResult::kStreamCaptureInvalidated, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {CudaResult::kStreamCaptureUnjoined, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
});

const NamedResult* namedResult(CudaResult result) {
  const auto* const found = std::ranges::find(kNames, result, &NamedResult::result);
  return found == kNames.end() ? nullptr : found;
}

int attributeOf(const fake_cuda::Config& config, CudaDeviceAttribute attribute, CudaDevice device) {
  switch (attribute) {
    case CudaDeviceAttribute::kMultiprocessorCount:
      return config.multiprocessors;
    case CudaDeviceAttribute::kMaxThreadsPerMultiprocessor:
      return 2048;
    case CudaDeviceAttribute::kComputeCapabilityMajor:
      return config.major;
    case CudaDeviceAttribute::kComputeCapabilityMinor:
      return config.minor;
    case CudaDeviceAttribute::kPciBusId:
      return 0x10 + device;
    case CudaDeviceAttribute::kPciDeviceId:
    case CudaDeviceAttribute::kPciDomainId:
    case CudaDeviceAttribute::kIntegrated:
    case CudaDeviceAttribute::kPageableMemoryAccessUsesHostPageTables:
      return 0;
  }
  throw fake_cuda::Failure{CudaResult::kInvalidValue};
}

}  // namespace

CudaResult cuGetErrorName(CudaResult result, const char** text) {
  const NamedResult* const named = namedResult(result);
  *text = named == nullptr ? nullptr : named->name;
  return named == nullptr ? CudaResult::kInvalidValue : CudaResult::kSuccess;
}

CudaResult cuGetErrorString(CudaResult result, const char** text) {
  const NamedResult* const named = namedResult(result);
  *text = named == nullptr ? nullptr : named->words;
  return named == nullptr ? CudaResult::kInvalidValue : CudaResult::kSuccess;
}

CudaResult cuInit(unsigned int flags) {
  return call("cuInit", Needs::kNothing, [&](Call& c) {
    expect(flags == 0, CudaResult::kInvalidValue);
    expect(!c.state.devices.empty(), CudaResult::kNoDevice);
    fake_cuda::Memory::ownWindow();
    c.state.process.store(getpid(), std::memory_order_release);
  });
}

CudaResult cuDriverGetVersion(int* version) {
  return call("cuDriverGetVersion", Needs::kNothing, [&](Call& c) { *version = c.state.config.driver_version; });
}

CudaResult cuDeviceGetCount(int* count) {
  return call("cuDeviceGetCount", Needs::kInit, [&](Call& c) { *count = static_cast<int>(c.state.devices.size()); });
}

CudaResult cuDeviceGet(CudaDevice* device, int ordinal) {
  return call("cuDeviceGet", Needs::kInit, [&](Call& c) {
    deviceAt(c.state, ordinal);
    *device = ordinal;
  });
}

CudaResult cuDeviceGetAttribute(int* value, CudaDeviceAttribute attribute, CudaDevice device) {
  return call("cuDeviceGetAttribute", Needs::kInit, [&](Call& c) {
    deviceAt(c.state, device);
    *value = attributeOf(c.state.config, attribute, device);
  });
}

CudaResult cuDeviceGetName(char* name, int bytes, CudaDevice device) {
  return call("cuDeviceGetName", Needs::kInit, [&](Call& c) {
    deviceAt(c.state, device);
    const std::string text = "Fake GPU " + std::to_string(device);
    expect(bytes > 0, CudaResult::kInvalidValue);
    name[text.copy(name, static_cast<std::size_t>(bytes) - 1)] = '\0';
  });
}

CudaResult cuDeviceGetUuid_v2(CudaUuid* uuid, CudaDevice device) {
  return call("cuDeviceGetUuid_v2", Needs::kInit, [&](Call& c) {
    deviceAt(c.state, device);
    for (int i = 0; i < 16; ++i) uuid->bytes[i] = static_cast<char>(16 * i + device);
  });
}

}  // namespace signccl
