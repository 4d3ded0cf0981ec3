// SPDX-License-Identifier: Apache-2.0
// The few functions of the CUDA driver that the back uses, looked up in the libcuda.so.1 of the process. NCCL needs it,
// so a process that has a communicator has a driver.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_CUDA_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_CUDA_H_

#include <cstddef>
#include <cstdint>

#include "nccl/back/nccl_abi.h"

namespace signccl::nccl_preload {

using CudaResult = int;  ///< CUresult
using CudaContext = struct CUctx_st*;
using DeviceAddress = std::uintptr_t;  ///< CUdeviceptr

inline constexpr CudaResult kCudaSuccess = 0;
inline constexpr CudaResult kCudaNotReady = 600;

/// X(name, symbol, parameters), as in cuda.h.
#define SIGNCCL_NCCL_PRELOAD_CUDA(X)                                                                                 \
  X(cuGetErrorName, cuGetErrorName, (CudaResult result, const char** name))                                          \
  X(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, (CudaContext * context, int device))                         \
  X(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2, (int device))                                           \
  X(cuCtxPushCurrent, cuCtxPushCurrent_v2, (CudaContext context))                                                    \
  X(cuCtxPopCurrent, cuCtxPopCurrent_v2, (CudaContext * context))                                                    \
  X(cuMemAlloc, cuMemAlloc_v2, (DeviceAddress * memory, std::size_t bytes))                                          \
  X(cuMemFree, cuMemFree_v2, (DeviceAddress memory))                                                                 \
  X(cuMemHostAlloc, cuMemHostAlloc, (void** memory, std::size_t bytes, unsigned int flags))                          \
  X(cuMemFreeHost, cuMemFreeHost, (void* memory))                                                                    \
  X(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2, (DeviceAddress to, const void* from, std::size_t bytes, Stream stream)) \
  X(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2, (void* to, DeviceAddress from, std::size_t bytes, Stream stream))       \
  X(cuMemsetD8Async, cuMemsetD8Async, (DeviceAddress memory, unsigned char value, std::size_t bytes, Stream stream)) \
  X(cuStreamCreateWithPriority, cuStreamCreateWithPriority, (Stream * stream, unsigned int flags, int priority))     \
  X(cuStreamDestroy, cuStreamDestroy_v2, (Stream stream))                                                            \
  X(cuStreamQuery, cuStreamQuery, (Stream stream))                                                                   \
  X(cuStreamIsCapturing, cuStreamIsCapturing, (Stream stream, int* status))                                          \
  X(cuThreadExchangeStreamCaptureMode, cuThreadExchangeStreamCaptureMode, (int* mode))

struct Cuda {
// NOLINTNEXTLINE(bugprone-macro-parentheses)
#define SIGNCCL_DECLARE(name, symbol, parameters) CudaResult(*name) parameters = nullptr;
  SIGNCCL_NCCL_PRELOAD_CUDA(SIGNCCL_DECLARE)
#undef SIGNCCL_DECLARE
};

/// Looks the functions up, once for the process. Throws Failure where there is no driver or where it lacks one.
const Cuda& cuda();

/// Throws Failure for an error of the driver.
void expectCudaSuccess(CudaResult result, const char* function);

/// Whether nothing is left to do on the stream. Throws Failure.
bool isIdle(Stream stream);

/// Whether what is enqueued on the stream enters a CUDA graph.
bool isCaptured(Stream stream);

/// Makes the primary context of a device current while it lives, and lets this thread allocate although another may be
/// capturing. Throws Failure.
class DeviceScope {
 public:
  explicit DeviceScope(int device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int device_;
  int capture_mode_ = 2;  ///< relaxed
};

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_CUDA_H_
