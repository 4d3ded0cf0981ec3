// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/entry_points.h"
#include "kernels/lanes/lion_begin.h"

SIGNCCL_LION_BEGIN_KERNELS(SIGNCCL_ENTRY_POINT)
