// SPDX-License-Identifier: Apache-2.0
// The functions of the CUDA driver API that are used here: one list, of which their table, its loading, the comparison
// with cuda.h and the fake driver of the tests are made.
#ifndef SIGNCCL_DEVICE_DRIVER_FUNCTIONS_H_
#define SIGNCCL_DEVICE_DRIVER_FUNCTIONS_H_

#include <cstddef>

#include "device/driver_types.h"

/// X(name, symbol, parameters). The symbol names the version of the function: the plain name may be an older one, as
/// cuStreamBatchMemOp is, which most systems refuse.
#define SIGNCCL_CUDA_FUNCTIONS(X)                                                                                      \
  X(cuGetErrorName, cuGetErrorName, (CudaResult result, const char** text))                                            \
  X(cuGetErrorString, cuGetErrorString, (CudaResult result, const char** text))                                        \
  X(cuInit, cuInit, (unsigned int flags))                                                                              \
  X(cuDriverGetVersion, cuDriverGetVersion, (int* version))                                                            \
  X(cuDeviceGetCount, cuDeviceGetCount, (int* count))                                                                  \
  X(cuDeviceGet, cuDeviceGet, (CudaDevice * device, int ordinal))                                                      \
  X(cuDeviceGetAttribute, cuDeviceGetAttribute, (int* value, CudaDeviceAttribute attribute, CudaDevice device))        \
  X(cuDeviceGetName, cuDeviceGetName, (char* name, int bytes, CudaDevice device))                                      \
  X(cuDeviceGetUuid, cuDeviceGetUuid_v2, (CudaUuid * uuid, CudaDevice device))                                         \
  X(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, (CudaContext * context, CudaDevice device))                    \
  X(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2, (CudaDevice device))                                      \
  X(cuDevicePrimaryCtxGetState, cuDevicePrimaryCtxGetState, (CudaDevice device, unsigned int* flags, int* active))     \
  X(cuCtxPushCurrent, cuCtxPushCurrent_v2, (CudaContext context))                                                      \
  X(cuCtxPopCurrent, cuCtxPopCurrent_v2, (CudaContext * context))                                                      \
  X(cuCtxGetCurrent, cuCtxGetCurrent, (CudaContext * context))                                                         \
  X(cuCtxGetDevice, cuCtxGetDevice, (CudaDevice * device))                                                             \
  X(cuPointerGetAttributes, cuPointerGetAttributes,                                                                    \
    (unsigned int count, CudaPointerAttribute* attributes, void** values, CudaDevicePointer pointer))                  \
  X(cuMemAlloc, cuMemAlloc_v2, (CudaDevicePointer * memory, std::size_t bytes))                                        \
  X(cuMemFree, cuMemFree_v2, (CudaDevicePointer memory))                                                               \
  X(cuMemHostAlloc, cuMemHostAlloc, (void** memory, std::size_t bytes, unsigned int flags))                            \
  X(cuMemFreeHost, cuMemFreeHost, (void* memory))                                                                      \
  X(cuMemHostGetDevicePointer, cuMemHostGetDevicePointer_v2,                                                           \
    (CudaDevicePointer * address, void* memory, unsigned int flags))                                                   \
  X(cuMemcpyAsync, cuMemcpyAsync,                                                                                      \
    (CudaDevicePointer to, CudaDevicePointer from, std::size_t bytes, CudaStream stream))                              \
  X(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2,                                                                           \
    (CudaDevicePointer to, const void* from, std::size_t bytes, CudaStream stream))                                    \
  X(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2, (void* to, CudaDevicePointer from, std::size_t bytes, CudaStream stream)) \
  X(cuStreamCreateWithPriority, cuStreamCreateWithPriority, (CudaStream * stream, unsigned int flags, int priority))   \
  X(cuStreamDestroy, cuStreamDestroy_v2, (CudaStream stream))                                                          \
  X(cuStreamQuery, cuStreamQuery, (CudaStream stream))                                                                 \
  X(cuStreamSynchronize, cuStreamSynchronize, (CudaStream stream))                                                     \
  X(cuStreamGetCtx, cuStreamGetCtx, (CudaStream stream, CudaContext * context))                                        \
  X(cuStreamWaitEvent, cuStreamWaitEvent, (CudaStream stream, CudaEvent event, unsigned int flags))                    \
  X(cuStreamBatchMemOp, cuStreamBatchMemOp_v2,                                                                         \
    (CudaStream stream, unsigned int count, CudaMemoryOperationParams* operations, unsigned int flags))                \
  X(cuStreamIsCapturing, cuStreamIsCapturing, (CudaStream stream, CudaCaptureStatus * status))                         \
  X(cuStreamGetCaptureInfo, cuStreamGetCaptureInfo_v2,                                                                 \
    (CudaStream stream, CudaCaptureStatus * status, unsigned long long* id, CudaGraph* graph,                          \
     const CudaGraphNode** dependencies, std::size_t* ndependencies))                                                  \
  X(cuThreadExchangeStreamCaptureMode, cuThreadExchangeStreamCaptureMode, (CudaCaptureMode * mode))                    \
  X(cuEventCreate, cuEventCreate, (CudaEvent * event, unsigned int flags))                                             \
  X(cuEventDestroy, cuEventDestroy_v2, (CudaEvent event))                                                              \
  X(cuEventRecord, cuEventRecord, (CudaEvent event, CudaStream stream))                                                \
  X(cuEventQuery, cuEventQuery, (CudaEvent event))                                                                     \
  X(cuLibraryLoadData, cuLibraryLoadData,                                                                              \
    (CudaLibrary * library, const void* image, void* jit_options, void** jit_values, unsigned int njit_options,        \
     void* options, void** values, unsigned int noptions))                                                             \
  X(cuLibraryUnload, cuLibraryUnload, (CudaLibrary library))                                                           \
  X(cuLibraryGetKernel, cuLibraryGetKernel, (CudaKernel * kernel, CudaLibrary library, const char* name))              \
  X(cuKernelGetFunction, cuKernelGetFunction, (CudaFunction * function, CudaKernel kernel))                            \
  X(cuOccupancyMaxActiveBlocksPerMultiprocessor, cuOccupancyMaxActiveBlocksPerMultiprocessor,                          \
    (int* blocks, CudaFunction function, int block_threads, std::size_t shared_bytes))                                 \
  X(cuLaunchKernelEx, cuLaunchKernelEx,                                                                                \
    (const CudaLaunchConfig* config, CudaFunction function, void** arguments, void** extra))                           \
  X(cuUserObjectCreate, cuUserObjectCreate,                                                                            \
    (CudaUserObject * object, void* pointer, CudaHostFunction destroy, unsigned int references, unsigned int flags))   \
  X(cuUserObjectRelease, cuUserObjectRelease, (CudaUserObject object, unsigned int count))                             \
  X(cuGraphRetainUserObject, cuGraphRetainUserObject,                                                                  \
    (CudaGraph graph, CudaUserObject object, unsigned int count, unsigned int flags))

namespace signccl {

/// The functions, each under its name without version. Null where the driver lacks it.
struct CudaFunctions {
// NOLINTNEXTLINE(bugprone-macro-parentheses)
#define SIGNCCL_DECLARE(name, symbol, parameters) CudaResult(*name) parameters = nullptr;
  SIGNCCL_CUDA_FUNCTIONS(SIGNCCL_DECLARE)
#undef SIGNCCL_DECLARE
};

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_DRIVER_FUNCTIONS_H_
