// Makes the entry points of a part of the list in kernels/device/kernel_list.h.
#ifndef SIGNCCL_KERNELS_CUDA_ENTRY_POINTS_H_
#define SIGNCCL_KERNELS_CUDA_ENTRY_POINTS_H_

#include "kernels/device/kernel_list.h"
#include "kernels/lanes/warp_group.h"

#define SIGNCCL_ENTRY_POINT(name, Arguments, ...)                                      \
  extern "C" __global__ void __launch_bounds__(signccl::lanes::kBlockThreads)          \
      signccl_##name(const __grid_constant__ signccl::Arguments arguments) {           \
    using namespace signccl;                                                           \
    __VA_ARGS__::template run<lanes::WarpGroup>(arguments, lanes::WarpGroup::index()); \
  }

#endif  // SIGNCCL_KERNELS_CUDA_ENTRY_POINTS_H_
