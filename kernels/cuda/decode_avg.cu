// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/entry_points.h"
#include "kernels/lanes/decode_avg.h"
#include "kernels/lanes/decode_sum.h"

SIGNCCL_DECODE_AVG_KERNELS(SIGNCCL_ENTRY_POINT)
