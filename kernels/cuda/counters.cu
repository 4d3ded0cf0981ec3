// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/entry_points.h"
#include "kernels/lanes/counters.h"

SIGNCCL_COUNTER_KERNELS(SIGNCCL_ENTRY_POINT)
