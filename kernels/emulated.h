// SPDX-License-Identifier: Apache-2.0
// The kernels of a GPU as one more instance of Kernels: the same bodies, run on the host. For tests; slow, and no part
// of the library.
#ifndef SIGNCCL_KERNELS_EMULATED_H_
#define SIGNCCL_KERNELS_EMULATED_H_

#include "kernels/kernels.h"

namespace signccl {

/// Named "emulated". What its encodings for sums have met is what a GPU finds; their planes are those of the reference,
/// since a GPU takes those of encodeBinary() and encodeTernary(). Unlike the others it allocates: elements that are not
/// aligned to their own size, which a GPU cannot access, are copied there and back.
const Kernels& emulatedKernels();

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_EMULATED_H_
