// SPDX-License-Identifier: Apache-2.0
// Compares nccl_types.h and nccl_functions.h with nccl.h, at compile time. Compiled where nccl.h is found.
#include <cstddef>
#include <nccl.h>
#include <type_traits>

#include "device/compare_declarations.h"
#include "nccl/nccl_functions.h"

namespace signccl {

/// ncclConfig_t says its size.
template <>
inline constexpr bool kIsBeginningOf<NcclConfig, ncclConfig_t> = true;

namespace {

#define SIGNCCL_COMPARE(result, name, parameters) \
  static_assert(Compared<decltype(NcclFunctions::name), decltype(&::name)>::areAlike(), #name);
SIGNCCL_NCCL_FUNCTIONS(SIGNCCL_COMPARE)
#undef SIGNCCL_COMPARE

constexpr bool isEqual(NcclResult ours, ncclResult_t theirs) {
  return static_cast<std::uint32_t>(ours) == static_cast<std::uint32_t>(theirs);
}
static_assert(isEqual(NcclResult::kSuccess, ncclSuccess));
static_assert(isEqual(NcclResult::kUnhandledCudaError, ncclUnhandledCudaError));
static_assert(isEqual(NcclResult::kSystemError, ncclSystemError));
static_assert(isEqual(NcclResult::kInternalError, ncclInternalError));
static_assert(isEqual(NcclResult::kInvalidArgument, ncclInvalidArgument));
static_assert(isEqual(NcclResult::kInvalidUsage, ncclInvalidUsage));
static_assert(isEqual(NcclResult::kRemoteError, ncclRemoteError));
static_assert(isEqual(NcclResult::kInProgress, ncclInProgress));
static_assert(static_cast<int>(NcclDataType::kUint64) == static_cast<int>(ncclUint64));

static_assert(sizeof(NcclUniqueId) == sizeof(ncclUniqueId));
static_assert(std::is_same_v<NcclHandle, ncclComm_t>);
static_assert(std::is_same_v<CudaStream, cudaStream_t>);
static_assert(sizeof(NcclConfig) <= sizeof(ncclConfig_t));
static_assert(offsetof(NcclConfig, size) == offsetof(ncclConfig_t, size));
static_assert(offsetof(NcclConfig, magic) == offsetof(ncclConfig_t, magic));
static_assert(offsetof(NcclConfig, version) == offsetof(ncclConfig_t, version));
static_assert(offsetof(NcclConfig, blocking) == offsetof(ncclConfig_t, blocking));
static_assert(offsetof(NcclConfig, cga_cluster_size) == offsetof(ncclConfig_t, cgaClusterSize));
static_assert(offsetof(NcclConfig, min_ctas) == offsetof(ncclConfig_t, minCTAs));
static_assert(offsetof(NcclConfig, max_ctas) == offsetof(ncclConfig_t, maxCTAs));
static_assert(offsetof(NcclConfig, net_name) == offsetof(ncclConfig_t, netName));
static_assert(offsetof(NcclConfig, split_share) == offsetof(ncclConfig_t, splitShare));
static_assert(kNcclUndefined == NCCL_CONFIG_UNDEF_INT);
static_assert(ncclVersionCode(NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH) == NCCL_VERSION_CODE);
constexpr ncclConfig_t kTheirs = NCCL_CONFIG_INITIALIZER;
static_assert(kTheirs.magic == kNcclConfigMagic);

}  // namespace
}  // namespace signccl
