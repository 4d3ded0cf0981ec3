// SPDX-License-Identifier: Apache-2.0
// Parts of the instance "emulated" (emulated.h): kernels on sign words and counts.
#ifndef SIGNCCL_KERNELS_EMULATED_COUNTERS_H_
#define SIGNCCL_KERNELS_EMULATED_COUNTERS_H_

#include "kernels/kernels.h"

namespace signccl::emulated {

void count(const Word* const* inputs, int ninputs, size_t nwords, Planes counts);
void merge(ConstPlanes a, ConstPlanes b, size_t nwords, Planes sum);
void clamp(ConstPlanes in, uint64_t low, uint64_t high, size_t nwords, Planes out);
void decide(ConstPlanes counts, uint64_t threshold, bool has_ties, TieBits ties, size_t nwords, Word* positive,
            Word* nonnegative);
void restoreTop(ConstPlanes low, const Word* own_positive, const Word* own_nonnegative, size_t nwords, Word* top);

}  // namespace signccl::emulated

#endif  // SIGNCCL_KERNELS_EMULATED_COUNTERS_H_
