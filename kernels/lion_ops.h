// SPDX-License-Identifier: Apache-2.0
// The arithmetic of a Lion step: formulas over a number `V` with +, - and *, the same for a float, for a vector
// register and for a CUDA thread. Every operator rounds: who compiles these for a CPU must keep the compiler from
// fusing a product with a sum (-ffp-contract=off); the operators of a CUDA thread cannot be fused. Uses no standard
// library.
#ifndef SIGNCCL_KERNELS_LION_OPS_H_
#define SIGNCCL_KERNELS_LION_OPS_H_

#include "kernels/word_ops.h"

namespace signccl {

/// u of b1 and 1 - b1, m' of b2 and 1 - b2.
template <typename V>
SIGNCCL_WORD_OP V lionMix(V beta, V momentum, V one_minus_beta, V gradient) {
  return beta * momentum + one_minus_beta * gradient;
}

/// x' for the direction D.
template <typename V>
SIGNCCL_WORD_OP V lionStep(V parameter, V direction, V learning_rate, V weight_decay) {
  return parameter - learning_rate * (direction + weight_decay * parameter);
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_LION_OPS_H_
