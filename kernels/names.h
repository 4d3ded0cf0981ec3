// SPDX-License-Identifier: Apache-2.0
// Names of what kernels know, for messages.
#ifndef SIGNCCL_KERNELS_NAMES_H_
#define SIGNCCL_KERNELS_NAMES_H_

#include "kernels/kernels.h"
#include "kernels/lion.h"

namespace signccl {

/// As in the public header: "float32".
const char* elementTypeName(ElementType type);
const char* floatTypeName(FloatType type);

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_NAMES_H_
