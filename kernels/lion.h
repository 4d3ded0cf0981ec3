// SPDX-License-Identifier: Apache-2.0
// What the kernels of a Lion step work on. docs/semantics.md, "The Lion step", defines every rounding:
//   u  = fl(fl(b1 m) + fl((1 - b1) g)),  m' = fl(fl(b2 m) + fl((1 - b2) g)),  x' = fl(x - fl(lr fl(D + fl(wd x))))
// in float32, rounded to nearest, ties to even, with no fused multiplication and with denormals, whatever the thread's
// control register says. Narrow types are widened exactly when read and rounded once when written. A momentum or a
// parameter that is no number is written as the quiet NaN without payload (0x7FC00000 in float32), so that instruction
// sets, which choose differently among NaNs, agree.
#ifndef SIGNCCL_KERNELS_LION_H_
#define SIGNCCL_KERNELS_LION_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/word.h"

namespace signccl {

/// Types of gradients, momenta and parameters.
enum class FloatType : uint8_t { kFloat32, kFloat16, kBFloat16 };

/// Bytes of one number.
constexpr size_t floatBytes(FloatType type) { return type == FloatType::kFloat32 ? 4 : 2; }

/// b1, 1 - b1, b2 and 1 - b2, each rounded to float32 by itself.
struct LionBetas {
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
};

/// `count` gradients and momenta, the latter read and written. No gradients (null) are zeros.
struct LionMomenta {
  FloatType gradient_type;
  FloatType momentum_type;
  const void* gradients;
  void* momenta;
  LionBetas betas;
};

/// How parameters are rounded to bfloat16: to nearest, or up with the probability that the cut-off part is of a unit in
/// the last place: 16 random bits are added to the float32 below the bits that stay. The bits of element e of a
/// kernel's range are those of number first + e in the sequence of `key`: bits 16 k to 16 k + 15, k = number % 4, of
/// the 64-bit word randomTieWords(key, number / 4); see random_ties.h.
struct LionRounding {
  bool is_stochastic;  ///< of kBFloat16 parameters only
  uint64_t key;
  uint64_t first;  ///< a multiple of kWordBits
};

/// Parameters, read and written.
struct LionParameters {
  FloatType type;
  void* parameters;
  float learning_rate;
  float weight_decay;
  LionRounding rounding;
};

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_LION_H_
