// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/entry_points.h"
#include "kernels/lanes/check_signs.h"

SIGNCCL_CHECK_SIGNS_KERNELS(SIGNCCL_ENTRY_POINT)
