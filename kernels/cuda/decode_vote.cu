// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/entry_points.h"
#include "kernels/lanes/decode_vote.h"

SIGNCCL_DECODE_VOTE_KERNELS(SIGNCCL_ENTRY_POINT)
