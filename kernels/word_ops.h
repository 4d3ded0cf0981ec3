// SPDX-License-Identifier: Apache-2.0
// Arithmetic on bit-sliced counters: formulas over a word `W` with &, |, ^ and ~, the same for 64 bits, for a vector
// register and for a CUDA thread. Uses no standard library. Plane j of a counter has weight 2^j.
//
// An instruction set that adds three bits faster overloads fullAdd for its own word; the overload is found by argument.
#ifndef SIGNCCL_KERNELS_WORD_OPS_H_
#define SIGNCCL_KERNELS_WORD_OPS_H_

#include <stddef.h>

#include "kernels/word.h"

#if defined(__clang__) || defined(__CUDACC__)
#define SIGNCCL_UNROLL _Pragma("unroll")
#else
#define SIGNCCL_UNROLL _Pragma("GCC unroll 8")
#endif

/// Before a loop over planes. Compilers for GPUs would make four turns one, for which their registers may not suffice.
#if defined(__CUDACC__)
#define SIGNCCL_UNROLL_PLANES _Pragma("unroll 2")
#else
#define SIGNCCL_UNROLL_PLANES
#endif

namespace signccl {

/// Calls body(k) for every k below kCount. Few calls are written one after the other, so that arrays of vectors that
/// they fill become registers.
template <size_t kCount, typename Body>
SIGNCCL_WORD_OP void repeat(const Body& body) {
  if constexpr (kCount <= 8) {
    SIGNCCL_UNROLL
    for (size_t k = 0; k < kCount; ++k) body(k);
  } else {
    for (size_t k = 0; k < kCount; ++k) body(k);
  }
}

/// Adds bits of one weight: `sum` has that weight, `carry` twice as much. Results come by reference because GCC keeps
/// aggregates of vectors in memory when functions return them.
template <typename W>
SIGNCCL_WORD_OP void halfAdd(W a, W b, W& sum, W& carry) {
  sum = a ^ b;
  carry = a & b;
}

template <typename W>
SIGNCCL_WORD_OP void fullAdd(W a, W b, W c, W& sum, W& carry) {
  const W either = a ^ b;
  sum = either ^ c;
  carry = (a & b) | (either & c);
}

/// Votes held in an array, as the source of the next level of a carry-save tree.
template <typename W>
struct ArrayVotes {
  const W* words;
  SIGNCCL_WORD_OP W operator()(int k) const { return words[k]; }
};

/// Adds votes kFirst to kVotes - 1 of `votes` to `sum`, two at a time; each pair leaves one carry, a last single vote
/// too.
template <int kFirst, int kVotes, typename W, typename Votes>
SIGNCCL_WORD_OP void addPairs(const Votes& votes, W& sum, W* carries) {
  if constexpr (kFirst + 1 < kVotes) {
    fullAdd(sum, votes(kFirst), votes(kFirst + 1), sum, *carries);
    addPairs<kFirst + 2, kVotes>(votes, sum, carries + 1);
  } else if constexpr (kFirst < kVotes) {
    halfAdd(sum, votes(kFirst), sum, *carries);
  }
}

/// planes = number of set bits among votes(0) to votes(kVotes - 1); writes planesFor(kVotes) planes.
/// A carry-save tree: about one full adder per vote, against one half adder per vote and plane for plain counting.
template <int kVotes, typename W, typename Votes>
SIGNCCL_WORD_OP void sumVotes(const Votes& votes, W* planes) {
  if constexpr (kVotes > 0) {
    constexpr int kCarries = kVotes / 2;
    W carries[kCarries + 1];
    W sum = votes(0);
    addPairs<1, kVotes>(votes, sum, carries);
    *planes = sum;
    sumVotes<kCarries>(ArrayVotes<W>{carries}, planes + 1);
  }
}

/// Adds kVotes votes, a power of two, to the log2(kVotes) lowest planes of a counter and returns the carry into the
/// next plane: one full adder per vote (Harley and Seal).
template <int kVotes, typename W, typename Votes>
SIGNCCL_WORD_OP W addVotes(const Votes& votes, W* planes) {
  static_assert(kVotes > 0 && (kVotes & (kVotes - 1)) == 0);
  if constexpr (kVotes == 1) {
    return votes(0);
  } else {
    W carries[kVotes / 2];
    W sum = *planes;
    addPairs<0, kVotes>(votes, sum, carries);
    *planes = sum;
    return addVotes<kVotes / 2>(ArrayVotes<W>{carries}, planes + 1);
  }
}

/// Adds one bit of the weight of planes[0] to `nplanes` planes; the caller knows that there is no carry out.
template <typename W>
SIGNCCL_WORD_OP void addCarry(W carry, W* planes, int nplanes) {
  for (int j = 0; j < nplanes; ++j) halfAdd(planes[j], carry, planes[j], carry);
}

/// One step of the comparison counter >= constant, from the lowest plane up: `at_least` so far (all ones at the start),
/// the counter's next plane, and the constant's next bit.
template <typename W>
SIGNCCL_WORD_OP W compareStep(W at_least, W plane, bool constant_bit) {
  return constant_bit ? at_least & plane : at_least | plane;
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_WORD_OPS_H_
