// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/entry_points.h"
#include "kernels/lanes/count.h"

SIGNCCL_COUNT_KERNELS(SIGNCCL_ENTRY_POINT)
