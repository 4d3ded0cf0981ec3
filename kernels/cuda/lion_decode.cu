// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/lion_entry_points.h"
#include "kernels/lanes/lion_decode.h"

SIGNCCL_LION_DECODE_KERNELS(SIGNCCL_LION_ENTRY_POINT)
