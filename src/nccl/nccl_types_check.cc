// SPDX-License-Identifier: Apache-2.0
// Compares nccl_types.h and nccl_functions.h with nccl.h, at compile time. Compiled where nccl.h is found.
#include <cstddef>
#include <nccl.h>
#include <type_traits>

#include "nccl/nccl_functions.h"

namespace signccl {
namespace {

/// Whether two types of parameters are passed alike. Enumerations and structs have other names here; cudaStream_t is
/// CUstream_st*.
template <typename Ours, typename Theirs>
constexpr bool isPassedAlike() {
  if constexpr (std::is_same_v<Ours, Theirs>) {
    return true;
  } else if constexpr (std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>) {
    using OurObject = std::remove_pointer_t<Ours>;
    using TheirObject = std::remove_pointer_t<Theirs>;
    if constexpr (std::is_const_v<OurObject> != std::is_const_v<TheirObject>) return false;
    if constexpr (std::is_same_v<OurObject, NcclConfig>) return std::is_same_v<TheirObject, ncclConfig_t>;
    return isPassedAlike<std::remove_const_t<OurObject>, std::remove_const_t<TheirObject>>();
  } else {
    return sizeof(Ours) == sizeof(Theirs) && std::is_class_v<Ours> == std::is_class_v<Theirs>;
  }
}

template <typename Ours, typename Theirs>
struct Compared;

template <typename OurResult, typename... Ours, typename TheirResult, typename... Theirs>
struct Compared<OurResult (*)(Ours...), TheirResult (*)(Theirs...)> {
  static constexpr bool isAlike() {
    if constexpr (sizeof...(Ours) == sizeof...(Theirs)) {
      return sizeof(OurResult) == sizeof(TheirResult) && (isPassedAlike<Ours, Theirs>() && ...);
    } else {
      return false;
    }
  }
};

#define SIGNCCL_COMPARE(result, name, parameters) \
  static_assert(Compared<decltype(NcclFunctions::name), decltype(&::name)>::isAlike(), #name);
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
static_assert(static_cast<int>(NcclDataType::kUint32) == static_cast<int>(ncclUint32));
static_assert(static_cast<int>(NcclDataType::kUint64) == static_cast<int>(ncclUint64));
static_assert(static_cast<int>(NcclReduction::kMax) == static_cast<int>(ncclMax));

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
