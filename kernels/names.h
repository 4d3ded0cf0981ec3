// Names of what kernels know, for messages.
#ifndef SIGNCCL_KERNELS_NAMES_H_
#define SIGNCCL_KERNELS_NAMES_H_

#include "kernels/kernels.h"

namespace signccl {

/// As in the public header: "float32".
const char* elementTypeName(ElementType type);

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_NAMES_H_
