// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/lion_entry_points.h"
#include "kernels/lanes/lion_encode.h"

SIGNCCL_LION_ENCODE_KERNELS(SIGNCCL_LION_ENTRY_POINT)
