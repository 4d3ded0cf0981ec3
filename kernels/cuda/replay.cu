// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/entry_points.h"
#include "kernels/lanes/replay.h"

SIGNCCL_REPLAY_KERNELS(SIGNCCL_ENTRY_POINT)
