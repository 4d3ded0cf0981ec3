// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/entry_points.h"
#include "kernels/lanes/encode.h"

SIGNCCL_ENCODE_KERNELS(SIGNCCL_ENTRY_POINT)
