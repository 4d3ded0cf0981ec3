// SPDX-License-Identifier: Apache-2.0
// Compares nccl_abi.h and signccl/nccl_mark.h with nccl.h, at compile time. Compiled where nccl.h is found; older
// headers than that of NCCL 2.32 lack some of the functions, and nothing is compared.
#include <nccl.h>

#if NCCL_VERSION_CODE >= 23200
#include <cstddef>
#include <type_traits>

#include "nccl/back/nccl_abi.h"
#include "signccl/nccl_mark.h"

namespace signccl::nccl_preload {
namespace {

/// Whether two parameters are passed alike. Enumerations and structs have other names here.
template <typename Ours, typename Theirs>
constexpr bool isPassedAlike() {
  return std::is_pointer_v<Ours> == std::is_pointer_v<Theirs> && std::is_class_v<Ours> == std::is_class_v<Theirs> &&
         sizeof(Ours) == sizeof(Theirs);
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

#define SIGNCCL_COMPARE(name, parameters) \
  static_assert(Compared<decltype(RealNccl::name), decltype(&::name)>::isAlike(), #name);
SIGNCCL_NCCL_PRELOAD_FUNCTIONS(SIGNCCL_COMPARE)
#undef SIGNCCL_COMPARE

template <typename Ours, typename Theirs>
constexpr bool isEqual(Ours ours, Theirs theirs) {
  return static_cast<int>(ours) == static_cast<int>(theirs);
}
static_assert(isEqual(Result::kSystemError, ncclSystemError) && isEqual(Result::kInvalidUsage, ncclInvalidUsage));
static_assert(isEqual(Result::kRemoteError, ncclRemoteError) && isEqual(Result::kInProgress, ncclInProgress));
static_assert(isEqual(Result::kTimeout, ncclTimeout));
static_assert(isEqual(DataType::kInt8, ncclInt8) && isEqual(DataType::kUint64, ncclUint64));
static_assert(isEqual(DataType::kFloat16, ncclFloat16) && isEqual(DataType::kBfloat16, ncclBfloat16));
static_assert(isEqual(DataType::kFloat32, ncclFloat32) && isEqual(DataType::kFloat64, ncclFloat64));
static_assert(isEqual(RedOp::kSum, ncclSum) && isEqual(RedOp::kAvg, ncclAvg));

static_assert(sizeof(UniqueId) == sizeof(ncclUniqueId));
static_assert(kMagic == NCCL_API_MAGIC);
static_assert(offsetof(Config, size) == offsetof(ncclConfig_t, size));
static_assert(offsetof(Config, magic) == offsetof(ncclConfig_t, magic));
static_assert(offsetof(Config, blocking) == offsetof(ncclConfig_t, blocking));
static_assert(offsetof(Config, comm_name) == offsetof(ncclConfig_t, commName));
static_assert(offsetof(CollConfig, size) == offsetof(ncclCollConfig_t, size));
static_assert(offsetof(CollConfig, magic) == offsetof(ncclCollConfig_t, magic));
static_assert(offsetof(CollConfig, ext) == offsetof(ncclCollConfig_t, ext));
static_assert(sizeof(ConfigExt) == sizeof(ncclConfigExt_t));
static_assert(offsetof(ConfigExt, next) == offsetof(ncclConfigExt_t, next));
static_assert(offsetof(ConfigExt, key.vendor) == offsetof(ncclConfigExt_t, key.vendorId));
static_assert(offsetof(ConfigExt, key.option) == offsetof(ncclConfigExt_t, key.optionId));
static_assert(offsetof(ConfigExt, value) == offsetof(ncclConfigExt_t, val));
static_assert(SIGNCCL_NCCL_VENDOR > 0 && SIGNCCL_NCCL_VENDOR < 1 << 24);
static_assert(sizeof(signcclNcclMark_t) == 2 * sizeof(ncclConfigExt_t));

}  // namespace
}  // namespace signccl::nccl_preload
#endif
