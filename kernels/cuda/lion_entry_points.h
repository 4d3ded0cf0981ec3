// SPDX-License-Identifier: Apache-2.0
// Makes the entry points of the kernels of a Lion step, which hold many numbers in registers.
#ifndef SIGNCCL_KERNELS_CUDA_LION_ENTRY_POINTS_H_
#define SIGNCCL_KERNELS_CUDA_LION_ENTRY_POINTS_H_

#include "kernels/cuda/entry_points.h"

// Blocks that a multiprocessor shall hold at once. 24 warps, with 16 to 128 bytes of each lane on their way, are enough
// for the bandwidth of memory. The compiler aims at more by itself, and then keeps some registers in memory.
#define SIGNCCL_LION_ENTRY_POINT(name, Arguments, ...) \
  SIGNCCL_ENTRY_POINT_WITH(__launch_bounds__(signccl::lanes::kBlockThreads, 3), name, Arguments, __VA_ARGS__)

#endif  // SIGNCCL_KERNELS_CUDA_LION_ENTRY_POINTS_H_
