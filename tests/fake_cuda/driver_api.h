// SPDX-License-Identifier: Apache-2.0
// The functions of the driver that the fake has, under the names of their symbols: those of SignCCL's table, and others
// by which tests play its user.
#ifndef SIGNCCL_TESTS_FAKE_CUDA_DRIVER_API_H_
#define SIGNCCL_TESTS_FAKE_CUDA_DRIVER_API_H_

#include "device/driver_functions.h"

extern "C" {
#pragma GCC visibility push(default)

#define SIGNCCL_DECLARE(name, symbol, parameters) signccl::CudaResult symbol parameters;
namespace signccl {
SIGNCCL_CUDA_FUNCTIONS(SIGNCCL_DECLARE)
}  // namespace signccl
#undef SIGNCCL_DECLARE

namespace signccl {

CudaResult cuCtxCreate_v2(CudaContext* context, unsigned int flags, CudaDevice device);
CudaResult cuCtxDestroy_v2(CudaContext context);
CudaResult cuCtxSetCurrent(CudaContext context);
CudaResult cuCtxSynchronize();
CudaResult cuMemAllocManaged(CudaDevicePointer* memory, std::size_t bytes, unsigned int flags);
CudaResult cuMemAllocAsync(CudaDevicePointer* memory, std::size_t bytes, CudaStream stream);
CudaResult cuMemGetInfo_v2(std::size_t* free, std::size_t* total);
CudaResult cuMemHostRegister_v2(void* memory, std::size_t bytes, unsigned int flags);
CudaResult cuMemHostUnregister(void* memory);
CudaResult cuMemcpyHtoD_v2(CudaDevicePointer to, const void* from, std::size_t bytes);
CudaResult cuMemcpyDtoH_v2(void* to, CudaDevicePointer from, std::size_t bytes);
CudaResult cuMemsetD8Async(CudaDevicePointer memory, unsigned char value, std::size_t bytes, CudaStream stream);
CudaResult cuStreamBeginCapture_v2(CudaStream stream, CudaCaptureMode mode);
CudaResult cuStreamEndCapture(CudaStream stream, CudaGraph* graph);
CudaResult cuEventSynchronize(CudaEvent event);
CudaResult cuEventElapsedTime(float* milliseconds, CudaEvent start, CudaEvent end);
CudaResult cuLaunchHostFunc(CudaStream stream, CudaHostFunction function, void* argument);
CudaResult cuGraphInstantiateWithFlags(CudaGraphExec* exec, CudaGraph graph, unsigned long long flags);
CudaResult cuGraphLaunch(CudaGraphExec exec, CudaStream stream);
CudaResult cuGraphExecDestroy(CudaGraphExec exec);
CudaResult cuGraphDestroy(CudaGraph graph);

/// The first version of the memory operations, which most systems refuse.
CudaResult cuStreamBatchMemOp(CudaStream stream, unsigned int count, CudaMemoryOperationParams* operations,
                              unsigned int flags);

}  // namespace signccl

#pragma GCC visibility pop
}

#endif  // SIGNCCL_TESTS_FAKE_CUDA_DRIVER_API_H_
