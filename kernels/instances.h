// SPDX-License-Identifier: Apache-2.0
// The instances of every build, and the checks whether this machine can run them. The checks live in select.cc, which
// is compiled for the oldest machine, because a file compiled for AVX-512 may use it anywhere.
#ifndef SIGNCCL_KERNELS_INSTANCES_H_
#define SIGNCCL_KERNELS_INSTANCES_H_

#include "kernels/kernels.h"

namespace signccl {

bool everySupported();
bool avx2Supported();
bool avx512Supported();

extern const Kernels kScalarKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kNeonKernels;

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_INSTANCES_H_
