// SPDX-License-Identifier: Apache-2.0
// What a dry run sees of the values of a call.
#ifndef SIGNCCL_PLUGIN_NCCL_BACK_LOOK_H_
#define SIGNCCL_PLUGIN_NCCL_BACK_LOOK_H_

#include <chrono>
#include <optional>

#include "nccl/back/all_reduce.h"
#include "nccl/back/nccl_abi.h"
#include "rules/types.h"
#include "rules/values.h"

namespace signccl::nccl_preload {

/// Waits until the stream of the call comes to it, and looks at the elements from the host, up to the first one that
/// is no sign. Nothing if the stream does not come within `longest`, or if CUDA or NCCL refuses. The call is in no
/// group and on no stream that is captured.
std::optional<rules::LocalValues> lookAt(const RealNccl& nccl, const AllReduce& call, rules::ElementType type,
                                         std::chrono::milliseconds longest);

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_PLUGIN_NCCL_BACK_LOOK_H_
