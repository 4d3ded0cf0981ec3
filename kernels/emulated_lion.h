// SPDX-License-Identifier: Apache-2.0
// The Lion kernels of a GPU run on the host: those of emulatedKernels(), and launches over tables of many tensors. For
// tests.
#ifndef SIGNCCL_KERNELS_EMULATED_LION_H_
#define SIGNCCL_KERNELS_EMULATED_LION_H_

#include <cstddef>
#include <cstdint>

#include "kernels/device/lion_arguments.h"
#include "kernels/kernels.h"

namespace signccl::emulated {

// Of Kernels. Numbers that are not aligned to their own size, which a GPU cannot access, are copied there and back.
void encodeLion(const LionMomenta& lion, size_t count, Word* positive, Word* nonnegative);
void decodeVoteLion(const LionParameters& lion, const Word* positive, const Word* nonnegative, size_t count);
void decodeAvgLion(const LionParameters& lion, Counts counts, const float* table, size_t count);

/// Types of a table's tensors.
struct LionEncodeTypes {
  FloatType gradient;
  FloatType momentum;
};
struct LionStepTypes {
  FloatType parameter;
  bool is_stochastic;  ///< of kBFloat16 only
};

// Launches of `nblocks` blocks, under the default mode of the floating-point unit. Signs are ternary, and votes have
// zeros, if the arguments have a second plane.
void launch(LionEncodeTypes types, const LionEncodeArguments& arguments, size_t nblocks);
void launch(LionStepTypes types, const LionVoteArguments& arguments, size_t nblocks);
void launch(LionStepTypes types, const LionAvgArguments& arguments, size_t nblocks);

}  // namespace signccl::emulated

#endif  // SIGNCCL_KERNELS_EMULATED_LION_H_
