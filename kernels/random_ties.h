// SPDX-License-Identifier: Apache-2.0
// The tie rule `random`: 64 tie bits for each word of a buffer, from the number of the call and the number of the word.
// docs/semantics.md defines them, and reference.cc is the definition in code. The function is counter-based: the bits
// of a word do not depend on those of other words, so every rank, slice and vector computes its own. Formulas over a
// word type, as in word_ops.h. Uses no standard library.
#ifndef SIGNCCL_KERNELS_RANDOM_TIES_H_
#define SIGNCCL_KERNELS_RANDOM_TIES_H_

#include <stdint.h>

#include "kernels/kernels.h"
#include "kernels/word_ops.h"

namespace signccl {

/// 2^64 divided by the golden ratio, made odd: its multiples are spread evenly over 64 bits.
inline constexpr uint64_t kTieStep = 0x9E37'79B9'7F4A'7C15;
/// Even, so that x ^ (low half of x) * kTieFactor is a one-to-one function of x: no bit loses its fairness.
inline constexpr uint64_t kTieFactor = 0xD251'1F52;

/// The key of a call. Every bit of it depends on every bit of `call`, and different calls have different keys. This is
/// the output function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
SIGNCCL_WORD_OP uint64_t tieKey(uint64_t call) {
  uint64_t x = call + kTieStep;
  x = (x ^ (x >> 30)) * 0xBF58'476D'1CE4'E5B9;
  x = (x ^ (x >> 27)) * 0x94D0'49BB'1331'11EB;
  return x ^ (x >> 31);
}

/// The number of the call in replay `replay`, from 0, of a CUDA graph into which it was captured with number `call`.
SIGNCCL_WORD_OP uint64_t replayCall(uint64_t call, uint64_t replay) { return call + (replay << 32); }

/// LionRounding::key in the step with this number of its call.
SIGNCCL_WORD_OP uint64_t lionRoundingKey(uint64_t seed, uint64_t call) { return tieKey(tieKey(seed) + call); }

/// The tie bits for a kernel that begins at word `first_word` of the buffer of a call.
SIGNCCL_WORD_OP TieBits randomTies(uint64_t call, uint64_t first_word) { return {true, tieKey(call), first_word}; }

/// Tie bits of words, from x = word number * kTieStep ^ key of the call.
///
/// Every instruction set multiplies 32-bit halves in one instruction, so both products are of halves. The first one
/// is of two variables, so that equal differences of words or of keys do not lead to equal differences of results. Its
/// lowest and highest bits are not fair, so it is swapped and added to fair bits; the second product spreads them.
///
/// Beyond what columns.h asks of a vector word, V has: swapHalves(a), which exchanges the 32-bit halves of each word;
/// multiplyLow(a, b), the 64-bit products of the low halves.
template <typename V>
SIGNCCL_WORD_OP V mixTies(V x) {
  const V y = x ^ swapHalves(multiplyLow(x, swapHalves(x)));
  return y ^ multiplyLow(y, V::fill(kTieFactor));
}

/// Tie bits of as many consecutive words as `V` has, beginning with word `first`. V also has sequence(zeroth, step,
/// first), the 64-bit numbers zeroth + first * step, zeroth + (first + 1) * step and so on.
template <typename V>
SIGNCCL_WORD_OP V randomTieWords(uint64_t key, uint64_t first) {
  return mixTies(V::sequence(first * kTieStep, kTieStep, 0) ^ V::fill(key));
}

/// The same for words one after the other, without a multiplication for each V. V also has a + b, 64-bit sums.
template <typename V>
class RandomTieStream {
 public:
  SIGNCCL_WORD_OP RandomTieStream(uint64_t key, uint64_t first)
      : key_(V::fill(key)), multiples_(V::sequence(first * kTieStep, kTieStep, 0)) {}

  SIGNCCL_WORD_OP V next() {
    const V x = multiples_ ^ key_;
    multiples_ = multiples_ + V::fill(V::kWords * kTieStep);
    return mixTies(x);
  }

 private:
  V key_;
  V multiples_;  // word number * kTieStep
};

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_RANDOM_TIES_H_
