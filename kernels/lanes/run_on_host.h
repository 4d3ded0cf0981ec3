// SPDX-License-Identifier: Apache-2.0
// Runs the body of a device kernel on the host: all warps of a launch, one after the other.
#ifndef SIGNCCL_KERNELS_LANES_RUN_ON_HOST_H_
#define SIGNCCL_KERNELS_LANES_RUN_ON_HOST_H_

#include "kernels/lanes/host_group.h"

namespace signccl::lanes {

/// `Memory`: see HostGroup.
template <typename Memory, typename Body, typename Arguments>
void runOnHost(const Arguments& arguments, size_t nblocks) {
  for (size_t block = 0; block < nblocks; ++block) {
    for (size_t warp = 0; warp < kBlockWarps; ++warp) {
      Body::template run<HostGroup<Memory>>(arguments, warpIndex(block, nblocks, warp));
    }
  }
}

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_RUN_ON_HOST_H_
