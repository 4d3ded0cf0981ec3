// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/entry_points.h"
#include "kernels/lanes/count_decide.h"

SIGNCCL_COUNT_DECIDE_KERNELS(SIGNCCL_ENTRY_POINT)
