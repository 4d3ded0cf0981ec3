// SPDX-License-Identifier: Apache-2.0
// The kernels of a Lion step in the reference, which are many lines more than the other kernels.
#ifndef SIGNCCL_KERNELS_REFERENCE_LION_H_
#define SIGNCCL_KERNELS_REFERENCE_LION_H_

#include "kernels/kernels.h"

namespace signccl::reference {

void encodeLion(const LionMomenta& lion, size_t count, Word* positive, Word* nonnegative);
void decodeVoteLion(const LionParameters& lion, const Word* positive, const Word* nonnegative, size_t count);
void decodeAvgLion(const LionParameters& lion, Counts counts, const float* table, size_t count);

}  // namespace signccl::reference

#endif  // SIGNCCL_KERNELS_REFERENCE_LION_H_
