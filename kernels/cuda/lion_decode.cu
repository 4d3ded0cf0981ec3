#include "kernels/cuda/entry_points.h"
#include "kernels/lanes/lion_decode.h"

SIGNCCL_LION_DECODE_KERNELS(SIGNCCL_ENTRY_POINT)
