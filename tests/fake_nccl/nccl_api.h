// SPDX-License-Identifier: Apache-2.0
// The functions of NCCL that the fake has, under their own names: those of SignCCL's table, and others by which tests
// play its user.
#ifndef SIGNCCL_TESTS_FAKE_NCCL_NCCL_API_H_
#define SIGNCCL_TESTS_FAKE_NCCL_NCCL_API_H_

#include "nccl/nccl_functions.h"

extern "C" {
#pragma GCC visibility push(default)
namespace signccl {
// NOLINTNEXTLINE(bugprone-macro-parentheses)
#define SIGNCCL_DECLARE(result, name, parameters) result name parameters;
SIGNCCL_NCCL_FUNCTIONS(SIGNCCL_DECLARE)
#undef SIGNCCL_DECLARE

// What the library itself does not use, with types and operations as their numbers.
NcclResult ncclAllReduce(const void* send, void* recv, std::size_t count, int type, int op, NcclHandle comm,
                         CudaStream stream);
NcclResult ncclAllReduceConfig(const void* send, void* recv, std::size_t count, int type, int op, NcclHandle comm,
                               CudaStream stream, const void* config);
NcclResult ncclGroupSimulateEnd(void* info);
NcclResult ncclCommInitRank(NcclHandle* comm, int nranks, NcclUniqueId id, int rank);
NcclResult ncclCommInitRankScalable(NcclHandle* comm, int nranks, int rank, int nids, NcclUniqueId* ids,
                                    NcclConfig* config);
NcclResult ncclCommShrink(NcclHandle comm, int* excluded, int nexcluded, NcclHandle* newcomm, NcclConfig* config,
                          int flags);
NcclResult ncclCommGetUniqueId(NcclHandle comm, NcclUniqueId* id);
NcclResult ncclCommGrow(NcclHandle comm, int nranks, const NcclUniqueId* id, int rank, NcclHandle* newcomm,
                        NcclConfig* config);
NcclResult ncclCommFinalize(NcclHandle comm);
NcclResult ncclCommRevoke(NcclHandle comm, int flags);
}  // namespace signccl
#pragma GCC visibility pop
}

#endif  // SIGNCCL_TESTS_FAKE_NCCL_NCCL_API_H_
