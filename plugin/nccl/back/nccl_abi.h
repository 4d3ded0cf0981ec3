// SPDX-License-Identifier: Apache-2.0
// The types and functions of NCCL that the back uses, declared anew: no NCCL header is needed to build.
// tests/plugin_nccl compares them with nccl.h where that is installed.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_NCCL_ABI_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_NCCL_ABI_H_

#include <climits>
#include <cstddef>
#include <cstdint>

// The tags of nccl.h and of CUDA, so that a handle is the same type everywhere.
struct ncclComm;
struct CUstream_st;

namespace signccl::nccl_preload {

using Comm = ncclComm*;
using Stream = CUstream_st*;

/// ncclResult_t. Others come, too.
enum class Result : int {
  kSuccess = 0,
  kUnhandledCudaError = 1,
  kSystemError = 2,
  kInternalError = 3,
  kInvalidArgument = 4,
  kInvalidUsage = 5,
  kRemoteError = 6,
  kInProgress = 7,
  kTimeout = 8,  ///< since NCCL 2.30
};

/// ncclDataType_t, as far as rules can name the types.
enum class DataType : int { kInt8 = 0, kUint64 = 5, kFloat16 = 6, kFloat32 = 7, kFloat64 = 8, kBfloat16 = 9 };

/// ncclRedOp_t. Numbers above are operations of the user's, with a factor.
enum class RedOp : int { kSum = 0, kProd = 1, kMax = 2, kMin = 3, kAvg = 4 };

/// ncclUniqueId.
struct UniqueId {
  char internal[128];
};

/// The magic of all structs of NCCL with a size.
inline constexpr unsigned int kMagic = 0xcafebeef;

/// ncclConfig_t up to the last field that is read here. Which of them there are says `size`.
struct Config {
  std::size_t size;
  unsigned int magic;
  unsigned int version;
  int blocking;
  int cga_cluster_size;
  int min_ctas;
  int max_ctas;
  const char* net_name;
  int split_share;
  int traffic_class;
  const char* comm_name;  ///< since NCCL 2.27
};

/// ncclConfigExt_t.
struct ConfigExt {
  const ConfigExt* next;
  struct {
    int vendor;
    int option;
  } key;
  union {
    int i;
    const char* s;
    void* raw;
  } value;
};

/// ncclCollConfig_t up to the last field that is read here.
struct CollConfig {
  std::size_t size;
  unsigned int magic;
  unsigned int version;
  const ConfigExt* ext;
};

/// X(name, parameters): what is called of the real NCCL, each returning a result.
#define SIGNCCL_NCCL_PRELOAD_FUNCTIONS(X)                                                                      \
  X(ncclAllReduce,                                                                                             \
    (const void* send, void* recv, std::size_t count, DataType type, RedOp op, Comm comm, Stream stream))      \
  X(ncclAllReduceConfig, (const void* send, void* recv, std::size_t count, DataType type, RedOp op, Comm comm, \
                          Stream stream, const CollConfig* config))                                            \
  X(ncclAllGather, (const void* part, void* all, std::size_t count, DataType type, Comm comm, Stream stream))  \
  X(ncclGroupStart, ())                                                                                        \
  X(ncclGroupEnd, ())                                                                                          \
  X(ncclGroupSimulateEnd, (void* info))                                                                        \
  X(ncclCommInitAll, (Comm * comms, int ndevices, const int* devices))                                         \
  X(ncclCommInitRank, (Comm * comm, int nranks, UniqueId id, int rank))                                        \
  X(ncclCommInitRankConfig, (Comm * comm, int nranks, UniqueId id, int rank, Config* config))                  \
  X(ncclCommInitRankScalable, (Comm * comm, int nranks, int rank, int nids, UniqueId* ids, Config* config))    \
  X(ncclCommSplit, (Comm comm, int color, int key, Comm* newcomm, Config* config))                             \
  X(ncclCommShrink, (Comm comm, int* excluded, int nexcluded, Comm* newcomm, Config* config, int flags))       \
  X(ncclCommGrow, (Comm comm, int nranks, const UniqueId* id, int rank, Comm* newcomm, Config* config))        \
  X(ncclCommDestroy, (Comm comm))                                                                              \
  X(ncclCommAbort, (Comm comm))                                                                                \
  X(ncclCommFinalize, (Comm comm))                                                                             \
  X(ncclCommRevoke, (Comm comm, int flags))                                                                    \
  X(ncclCommGetAsyncError, (Comm comm, Result * error))                                                        \
  X(ncclCommCount, (Comm comm, int* count))                                                                    \
  X(ncclCommUserRank, (Comm comm, int* rank))                                                                  \
  X(ncclCommCuDevice, (Comm comm, int* device))                                                                \
  X(ncclGetVersion, (int* version))

/// The functions of the real NCCL, each under its own name. Null where it lacks one.
struct RealNccl {
// NOLINTNEXTLINE(bugprone-macro-parentheses)
#define SIGNCCL_DECLARE(name, parameters) Result(*name) parameters = nullptr;
  SIGNCCL_NCCL_PRELOAD_FUNCTIONS(SIGNCCL_DECLARE)
#undef SIGNCCL_DECLARE
  const char* (*ncclGetLastError)(Comm comm) = nullptr;
};

/// Calls a function of the real NCCL; system error, as the stand-in has it, where that is null.
template <typename Function, typename... Arguments>
Result callReal(Function function, Arguments... arguments) {
  return function == nullptr ? Result::kSystemError : function(arguments...);
}

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_NCCL_ABI_H_
