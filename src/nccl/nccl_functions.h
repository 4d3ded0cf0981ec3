// SPDX-License-Identifier: Apache-2.0
// The functions of NCCL that are used here: one list, of which their table, its loading, the comparison with nccl.h and
// the fake NCCL of the tests are made.
#ifndef SIGNCCL_NCCL_NCCL_FUNCTIONS_H_
#define SIGNCCL_NCCL_NCCL_FUNCTIONS_H_

#include "device/driver_types.h"
#include "nccl/nccl_types.h"

/// X(result, name, parameters).
#define SIGNCCL_NCCL_FUNCTIONS(X)                                                                              \
  X(NcclResult, ncclGetVersion, (int* version))                                                                \
  X(NcclResult, ncclGetUniqueId, (NcclUniqueId * id))                                                          \
  X(NcclResult, ncclCommInitRankConfig,                                                                        \
    (NcclHandle * comm, int nranks, NcclUniqueId id, int rank, NcclConfig* config))                            \
  X(NcclResult, ncclCommSplit, (NcclHandle comm, int color, int key, NcclHandle* newcomm, NcclConfig* config)) \
  X(NcclResult, ncclCommCount, (NcclHandle comm, int* count))                                                  \
  X(NcclResult, ncclCommUserRank, (NcclHandle comm, int* rank))                                                \
  X(NcclResult, ncclCommCuDevice, (NcclHandle comm, int* device))                                              \
  X(NcclResult, ncclCommDestroy, (NcclHandle comm))                                                            \
  X(NcclResult, ncclCommAbort, (NcclHandle comm))                                                              \
  X(NcclResult, ncclCommGetAsyncError, (NcclHandle comm, NcclResult * error))                                  \
  X(const char*, ncclGetErrorString, (NcclResult result))                                                      \
  X(const char*, ncclGetLastError, (NcclHandle comm))                                                          \
  X(NcclResult, ncclGroupStart, ())                                                                            \
  X(NcclResult, ncclGroupEnd, ())                                                                              \
  X(NcclResult, ncclSend,                                                                                      \
    (const void* buffer, std::size_t count, NcclDataType type, int peer, NcclHandle comm, CudaStream stream))  \
  X(NcclResult, ncclRecv,                                                                                      \
    (void* buffer, std::size_t count, NcclDataType type, int peer, NcclHandle comm, CudaStream stream))        \
  X(NcclResult, ncclAllGather,                                                                                 \
    (const void* part, void* all, std::size_t count, NcclDataType type, NcclHandle comm, CudaStream stream))

namespace signccl {

/// The functions, each under its own name.
struct NcclFunctions {
// NOLINTNEXTLINE(bugprone-macro-parentheses)
#define SIGNCCL_DECLARE(result, name, parameters) result(*name) parameters = nullptr;
  SIGNCCL_NCCL_FUNCTIONS(SIGNCCL_DECLARE)
#undef SIGNCCL_DECLARE
};

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_FUNCTIONS_H_
