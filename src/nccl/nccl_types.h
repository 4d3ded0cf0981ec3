// SPDX-License-Identifier: Apache-2.0
// The types and constants of NCCL that are used here, declared anew: no NCCL header is needed to build.
// nccl_types_check.cc compares them with nccl.h where that is installed.
#ifndef SIGNCCL_NCCL_NCCL_TYPES_H_
#define SIGNCCL_NCCL_NCCL_TYPES_H_

#include <climits>
#include <cstddef>
#include <cstdint>

// The tag of nccl.h, so that a handle is the same type everywhere.
struct ncclComm;

namespace signccl {

using NcclHandle = ncclComm*;

/// ncclResult_t. Others come, too.
enum class NcclResult : std::uint32_t {
  kSuccess = 0,
  kUnhandledCudaError = 1,
  kSystemError = 2,
  kInternalError = 3,
  kInvalidArgument = 4,
  kInvalidUsage = 5,
  kRemoteError = 6,
  kInProgress = 7,
};

/// ncclDataType_t. Votes are words of 64 bits.
enum class NcclDataType : std::uint32_t { kUint64 = 5 };

/// ncclUniqueId.
struct NcclUniqueId {
  char internal[128];
};

/// ncclConfig_t as it was in 2.18: later versions append to it and see by `size` what there is.
struct NcclConfig {
  std::size_t size;
  unsigned int magic;
  unsigned int version;
  int blocking;
  int cga_cluster_size;
  int min_ctas;
  int max_ctas;
  const char* net_name;
  int split_share;
};

inline constexpr unsigned int kNcclConfigMagic = 0xcafebeef;
inline constexpr int kNcclUndefined = INT_MIN;

/// The number of a version as NCCL has it: 2.18.1 is 21801.
constexpr int ncclVersionCode(int major, int minor, int patch) { return major * 10'000 + minor * 100 + patch; }

}  // namespace signccl

#endif  // SIGNCCL_NCCL_NCCL_TYPES_H_
