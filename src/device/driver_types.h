// SPDX-License-Identifier: Apache-2.0
// The types and constants of the CUDA driver API that are used here, declared anew: no CUDA header is needed to build.
// driver_types_check.cc compares them with cuda.h where that is installed.
#ifndef SIGNCCL_DEVICE_DRIVER_TYPES_H_
#define SIGNCCL_DEVICE_DRIVER_TYPES_H_

#include <cstdint>

// Handles have the tags of cuda.h, so that a user's CUstream or cudaStream_t is one of ours.
struct CUctx_st;
struct CUevent_st;
struct CUfunc_st;
struct CUgraph_st;
struct CUgraphExec_st;
struct CUgraphNode_st;
struct CUkern_st;
struct CUlib_st;
struct CUstream_st;
struct CUuserObject_st;

namespace signccl {

using CudaContext = CUctx_st*;
using CudaDevice = int;  ///< equal to the ordinal, though not by promise
using CudaDevicePointer = unsigned long long;
using CudaEvent = CUevent_st*;
using CudaFunction = CUfunc_st*;
using CudaGraph = CUgraph_st*;
using CudaGraphExec = CUgraphExec_st*;
using CudaGraphNode = CUgraphNode_st*;
using CudaHostFunction = void (*)(void*);
using CudaKernel = CUkern_st*;
using CudaLibrary = CUlib_st*;
using CudaStream = CUstream_st*;
using CudaUserObject = CUuserObject_st*;

/// CUresult. Others come, too.
enum class CudaResult : std::uint32_t {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kDeinitialized = 4,
  kStubLibrary = 34,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidImage = 200,
  kInvalidContext = 201,
  kNoBinaryForGpu = 209,
  kUnsupportedPtxVersion = 222,
  kInvalidHandle = 400,
  kIllegalState = 401,
  kNotFound = 500,
  kNotReady = 600,
  kIllegalAddress = 700,
  kContextIsDestroyed = 709,
  kLaunchFailed = 719,
  kNotPermitted = 800,
  kNotSupported = 801,
  kStreamCaptureUnsupported = 900,
  kStreamCaptureInvalidated = 901,
  kStreamCaptureMerge = 902,
  kStreamCaptureUnmatched = 903,
  kStreamCaptureUnjoined = 904,
  kStreamCaptureIsolation = 905,
  kStreamCaptureImplicit = 906,
  kCapturedEvent = 907,
  kStreamCaptureWrongThread = 908,
};

/// CUdevice_attribute.
enum class CudaDeviceAttribute : std::uint32_t {
  kMultiprocessorCount = 16,
  kIntegrated = 18,
  kPciBusId = 33,
  kPciDeviceId = 34,
  kMaxThreadsPerMultiprocessor = 39,
  kPciDomainId = 50,
  kComputeCapabilityMajor = 75,
  kComputeCapabilityMinor = 76,
  kPageableMemoryAccessUsesHostPageTables = 100,
};

/// CUpointer_attribute.
enum class CudaPointerAttribute : std::uint32_t {
  kContext = 1,
  kMemoryType = 2,
  kIsManaged = 8,
  kDeviceOrdinal = 9,
  kRangeStart = 11,
  kRangeSize = 12,
  kMapped = 13,
};

/// CUmemorytype; 0 is what is asked of unknown memory.
enum class CudaMemoryType : std::uint32_t { kUnknown = 0, kHost = 1, kDevice = 2 };

/// CUstreamCaptureStatus.
enum class CudaCaptureStatus : std::uint32_t { kNone = 0, kActive = 1, kInvalidated = 2 };

/// CUstreamCaptureMode.
enum class CudaCaptureMode : std::uint32_t { kGlobal = 0, kThreadLocal = 1, kRelaxed = 2 };

/// CUstreamBatchMemOpType.
enum class CudaMemoryOperation : std::uint32_t { kWaitValue32 = 1, kWriteValue32 = 2 };

/// CUuuid.
struct CudaUuid {
  char bytes[16];
};

/// CUstreamBatchMemOpParams: that of a wait and of a write, which have the same fields.
struct CudaMemoryOperationParams {
  CudaMemoryOperation operation;
  CudaDevicePointer address;  ///< of 4 bytes, aligned to them
  std::uint64_t value;        ///< the lower 32 bits
  std::uint32_t flags;        ///< of a wait: kCudaWaitGeq or kCudaWaitEq; of a write: 0
  CudaDevicePointer alias;    ///< the driver's own
  std::uint64_t pad;
};

/// CUlaunchConfig.
struct CudaLaunchConfig {
  unsigned int grid[3];   ///< blocks
  unsigned int block[3];  ///< threads
  unsigned int shared_bytes;
  CudaStream stream;
  void* attributes;
  unsigned int nattributes;
};

// Flags.
inline constexpr unsigned int kCudaWaitGeq = 0;  ///< until (int32_t)(*address - value) >= 0
inline constexpr unsigned int kCudaWaitEq = 1;   ///< until *address == value
inline constexpr unsigned int kCudaStreamNonBlocking = 1;
inline constexpr unsigned int kCudaEventDisableTiming = 2;
inline constexpr unsigned int kCudaHostAllocPortable = 1;
inline constexpr unsigned int kCudaHostAllocDeviceMap = 2;
inline constexpr unsigned int kCudaUserObjectNoDestructorSync = 1;
inline constexpr unsigned int kCudaGraphUserObjectMove = 1;

/// Most operations of one cuStreamBatchMemOp().
inline constexpr unsigned int kCudaMostMemoryOperations = 255;

// Streams without an object. A null stream is the legacy one, unless the caller was compiled otherwise.
inline CudaStream cudaLegacyStream() noexcept { return reinterpret_cast<CudaStream>(std::uintptr_t{1}); }
inline CudaStream cudaPerThreadStream() noexcept { return reinterpret_cast<CudaStream>(std::uintptr_t{2}); }

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_DRIVER_TYPES_H_
