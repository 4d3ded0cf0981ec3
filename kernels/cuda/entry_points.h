// SPDX-License-Identifier: Apache-2.0
// Makes the entry points of a part of the list in kernels/device/kernel_list.h.
#ifndef SIGNCCL_KERNELS_CUDA_ENTRY_POINTS_H_
#define SIGNCCL_KERNELS_CUDA_ENTRY_POINTS_H_

#include "kernels/device/kernel_list.h"
#include "kernels/lanes/warp_group.h"

#define SIGNCCL_ENTRY_POINT(name, Arguments, ...) \
  SIGNCCL_ENTRY_POINT_WITH(__launch_bounds__(signccl::lanes::kBlockThreads), name, Arguments, __VA_ARGS__)

#define SIGNCCL_ENTRY_POINT_WITH(bounds, name, Arguments, ...)                                             \
  extern "C" __global__ void bounds signccl_##name(const __grid_constant__ signccl::Arguments arguments) { \
    using namespace signccl;                                                                               \
    __VA_ARGS__::template run<lanes::WarpGroup>(arguments, lanes::WarpGroup::index());                     \
  }

#endif  // SIGNCCL_KERNELS_CUDA_ENTRY_POINTS_H_
