// SPDX-License-Identifier: Apache-2.0
// Parts of the instance "emulated" (emulated.h): kernels that write elements.
#ifndef SIGNCCL_KERNELS_EMULATED_DECODE_H_
#define SIGNCCL_KERNELS_EMULATED_DECODE_H_

#include "kernels/kernels.h"

namespace signccl::emulated {

void decodeVote(ElementType type, const Word* positive, const Word* nonnegative, size_t count, void* elements,
                Store store);
void decodeAvg(ElementType type, Counts counts, const void* table, size_t count, void* elements, Store store);

}  // namespace signccl::emulated

#endif  // SIGNCCL_KERNELS_EMULATED_DECODE_H_
