// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/entry_points.h"
#include "kernels/lanes/wait.h"

SIGNCCL_WAIT_KERNELS(SIGNCCL_ENTRY_POINT)
