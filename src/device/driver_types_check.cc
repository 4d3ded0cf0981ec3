// SPDX-License-Identifier: Apache-2.0
// Compares driver_types.h and driver_functions.h with cuda.h, at compile time. Compiled where cuda.h is found.
// All versions of a function under the names of their symbols.
#define __CUDA_API_VERSION_INTERNAL  // NOLINT(bugprone-reserved-identifier)
#include <cstddef>
#include <cuda.h>
#include <type_traits>

#include "device/compare_declarations.h"
#include "device/driver_functions.h"

namespace signccl {
namespace {

#define SIGNCCL_COMPARE(name, symbol, parameters) \
  static_assert(Compared<decltype(CudaFunctions::name), decltype(&::symbol)>::areAlike(), #symbol);
SIGNCCL_CUDA_FUNCTIONS(SIGNCCL_COMPARE)
#undef SIGNCCL_COMPARE

template <typename Ours, typename Theirs>
constexpr bool isValue(Ours ours, Theirs theirs) {
  return static_cast<unsigned long long>(ours) == static_cast<unsigned long long>(theirs);
}

static_assert(isValue(CudaResult::kSuccess, CUDA_SUCCESS));
static_assert(isValue(CudaResult::kInvalidValue, CUDA_ERROR_INVALID_VALUE));
static_assert(isValue(CudaResult::kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY));
static_assert(isValue(CudaResult::kNotInitialized, CUDA_ERROR_NOT_INITIALIZED));
static_assert(isValue(CudaResult::kDeinitialized, CUDA_ERROR_DEINITIALIZED));
static_assert(isValue(CudaResult::kStubLibrary, CUDA_ERROR_STUB_LIBRARY));
static_assert(isValue(CudaResult::kNoDevice, CUDA_ERROR_NO_DEVICE));
static_assert(isValue(CudaResult::kInvalidDevice, CUDA_ERROR_INVALID_DEVICE));
static_assert(isValue(CudaResult::kInvalidImage, CUDA_ERROR_INVALID_IMAGE));
static_assert(isValue(CudaResult::kInvalidContext, CUDA_ERROR_INVALID_CONTEXT));
static_assert(isValue(CudaResult::kNoBinaryForGpu, CUDA_ERROR_NO_BINARY_FOR_GPU));
static_assert(isValue(CudaResult::kUnsupportedPtxVersion, CUDA_ERROR_UNSUPPORTED_PTX_VERSION));
static_assert(isValue(CudaResult::kInvalidHandle, CUDA_ERROR_INVALID_HANDLE));
static_assert(isValue(CudaResult::kIllegalState, CUDA_ERROR_ILLEGAL_STATE));
static_assert(isValue(CudaResult::kNotFound, CUDA_ERROR_NOT_FOUND));
static_assert(isValue(CudaResult::kNotReady, CUDA_ERROR_NOT_READY));
static_assert(isValue(CudaResult::kIllegalAddress, CUDA_ERROR_ILLEGAL_ADDRESS));
static_assert(isValue(CudaResult::kContextIsDestroyed, CUDA_ERROR_CONTEXT_IS_DESTROYED));
static_assert(isValue(CudaResult::kLaunchFailed, CUDA_ERROR_LAUNCH_FAILED));
static_assert(isValue(CudaResult::kNotPermitted, CUDA_ERROR_NOT_PERMITTED));
static_assert(isValue(CudaResult::kNotSupported, CUDA_ERROR_NOT_SUPPORTED));
static_assert(isValue(CudaResult::kStreamCaptureUnsupported, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED));
static_assert(isValue(CudaResult::kStreamCaptureInvalidated, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED));
static_assert(isValue(CudaResult::kStreamCaptureMerge, CUDA_ERROR_STREAM_CAPTURE_MERGE));
static_assert(isValue(CudaResult::kStreamCaptureUnmatched, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED));
static_assert(isValue(CudaResult::kStreamCaptureUnjoined, CUDA_ERROR_STREAM_CAPTURE_UNJOINED));
static_assert(isValue(CudaResult::kStreamCaptureIsolation, CUDA_ERROR_STREAM_CAPTURE_ISOLATION));
static_assert(isValue(CudaResult::kStreamCaptureImplicit, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT));
static_assert(isValue(CudaResult::kCapturedEvent, CUDA_ERROR_CAPTURED_EVENT));
static_assert(isValue(CudaResult::kStreamCaptureWrongThread, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD));

static_assert(isValue(CudaDeviceAttribute::kMultiprocessorCount, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
static_assert(isValue(CudaDeviceAttribute::kIntegrated, CU_DEVICE_ATTRIBUTE_INTEGRATED));
static_assert(isValue(CudaDeviceAttribute::kPciBusId, CU_DEVICE_ATTRIBUTE_PCI_BUS_ID));
static_assert(isValue(CudaDeviceAttribute::kPciDeviceId, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID));
static_assert(isValue(CudaDeviceAttribute::kMaxThreadsPerMultiprocessor,
                      CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR));
static_assert(isValue(CudaDeviceAttribute::kPciDomainId, CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID));
static_assert(isValue(CudaDeviceAttribute::kComputeCapabilityMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR));
static_assert(isValue(CudaDeviceAttribute::kComputeCapabilityMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
static_assert(isValue(CudaDeviceAttribute::kPageableMemoryAccessUsesHostPageTables,
                      CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES));

static_assert(isValue(CudaPointerAttribute::kContext, CU_POINTER_ATTRIBUTE_CONTEXT));
static_assert(isValue(CudaPointerAttribute::kMemoryType, CU_POINTER_ATTRIBUTE_MEMORY_TYPE));
static_assert(isValue(CudaPointerAttribute::kIsManaged, CU_POINTER_ATTRIBUTE_IS_MANAGED));
static_assert(isValue(CudaPointerAttribute::kDeviceOrdinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL));
static_assert(isValue(CudaPointerAttribute::kRangeStart, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR));
static_assert(isValue(CudaPointerAttribute::kRangeSize, CU_POINTER_ATTRIBUTE_RANGE_SIZE));
static_assert(isValue(CudaPointerAttribute::kMapped, CU_POINTER_ATTRIBUTE_MAPPED));
static_assert(isValue(CudaMemoryType::kHost, CU_MEMORYTYPE_HOST));
static_assert(isValue(CudaMemoryType::kDevice, CU_MEMORYTYPE_DEVICE));

static_assert(isValue(CudaCaptureStatus::kNone, CU_STREAM_CAPTURE_STATUS_NONE));
static_assert(isValue(CudaCaptureStatus::kActive, CU_STREAM_CAPTURE_STATUS_ACTIVE));
static_assert(isValue(CudaCaptureStatus::kInvalidated, CU_STREAM_CAPTURE_STATUS_INVALIDATED));
static_assert(isValue(CudaCaptureMode::kGlobal, CU_STREAM_CAPTURE_MODE_GLOBAL));
static_assert(isValue(CudaCaptureMode::kThreadLocal, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
static_assert(isValue(CudaCaptureMode::kRelaxed, CU_STREAM_CAPTURE_MODE_RELAXED));
static_assert(isValue(CudaMemoryOperation::kWaitValue32, CU_STREAM_MEM_OP_WAIT_VALUE_32));
static_assert(isValue(CudaMemoryOperation::kWriteValue32, CU_STREAM_MEM_OP_WRITE_VALUE_32));

static_assert(isValue(kCudaWaitGeq, CU_STREAM_WAIT_VALUE_GEQ));
static_assert(isValue(kCudaWaitEq, CU_STREAM_WAIT_VALUE_EQ));
static_assert(isValue(kCudaStreamNonBlocking, CU_STREAM_NON_BLOCKING));
static_assert(isValue(kCudaEventDisableTiming, CU_EVENT_DISABLE_TIMING));
static_assert(isValue(kCudaHostAllocPortable, CU_MEMHOSTALLOC_PORTABLE));
static_assert(isValue(kCudaHostAllocDeviceMap, CU_MEMHOSTALLOC_DEVICEMAP));
static_assert(isValue(kCudaUserObjectNoDestructorSync, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
static_assert(isValue(kCudaGraphUserObjectMove, CU_GRAPH_USER_OBJECT_MOVE));

// CU_STREAM_LEGACY and CU_STREAM_PER_THREAD are casts, which no constant expression may have: their values are 1 and 2.

using TheirWait = decltype(CUstreamBatchMemOpParams::waitValue);
using TheirWrite = decltype(CUstreamBatchMemOpParams::writeValue);
static_assert(sizeof(CudaMemoryOperationParams) == sizeof(CUstreamBatchMemOpParams));
static_assert(offsetof(CudaMemoryOperationParams, address) == offsetof(TheirWait, address));
static_assert(offsetof(CudaMemoryOperationParams, value) == offsetof(TheirWait, value));
static_assert(offsetof(CudaMemoryOperationParams, flags) == offsetof(TheirWait, flags));
static_assert(offsetof(CudaMemoryOperationParams, alias) == offsetof(TheirWait, alias));
static_assert(offsetof(TheirWrite, address) == offsetof(TheirWait, address));
static_assert(offsetof(TheirWrite, value) == offsetof(TheirWait, value));
static_assert(offsetof(TheirWrite, flags) == offsetof(TheirWait, flags));
static_assert(sizeof(CudaLaunchConfig) == sizeof(CUlaunchConfig));
static_assert(offsetof(CudaLaunchConfig, grid) == offsetof(CUlaunchConfig, gridDimX));
static_assert(offsetof(CudaLaunchConfig, block) == offsetof(CUlaunchConfig, blockDimX));
static_assert(offsetof(CudaLaunchConfig, shared_bytes) == offsetof(CUlaunchConfig, sharedMemBytes));
static_assert(offsetof(CudaLaunchConfig, stream) == offsetof(CUlaunchConfig, hStream));
static_assert(offsetof(CudaLaunchConfig, attributes) == offsetof(CUlaunchConfig, attrs));
static_assert(offsetof(CudaLaunchConfig, nattributes) == offsetof(CUlaunchConfig, numAttrs));
static_assert(sizeof(CudaUuid) == sizeof(CUuuid));

}  // namespace
}  // namespace signccl
