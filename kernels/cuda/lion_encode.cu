#include "kernels/cuda/entry_points.h"
#include "kernels/lanes/lion_encode.h"

SIGNCCL_LION_ENCODE_KERNELS(SIGNCCL_ENTRY_POINT)
