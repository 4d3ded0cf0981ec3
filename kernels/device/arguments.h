// What the kernels of a GPU are called with: one struct for each family, passed by value. Addresses are those of the
// device; elements are aligned to their own size, words to 8 bytes, and what is not aligned to 16 bytes is slower.
#ifndef SIGNCCL_KERNELS_DEVICE_ARGUMENTS_H_
#define SIGNCCL_KERNELS_DEVICE_ARGUMENTS_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/word.h"

namespace signccl {

/// Kernels::encodeBinary() and, with `positive`, encodeTernary().
struct EncodeArguments {
  const void* elements;
  size_t count;
  Word* positive;  ///< of ternary signs only
  Word* nonnegative;
};

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_DEVICE_ARGUMENTS_H_
