// SPDX-License-Identifier: Apache-2.0
// Packed signs (ElementType::kBits) in user buffers, which need no alignment.
#ifndef SIGNCCL_KERNELS_BITS_IMPL_H_
#define SIGNCCL_KERNELS_BITS_IMPL_H_

#include "kernels/kernels.h"
#include "kernels/word_ops.h"

namespace signccl {

/// A word whose `nbits` lowest bits are set, nbits < kWordBits.
SIGNCCL_WORD_OP Word lowBits(size_t nbits) { return (Word{1} << nbits) - 1; }

/// Packed signs are copied, bits beyond `count` cleared. `Isa` only keeps the copies of different instruction sets
/// apart.
template <typename Isa>
void copyBits(const void* from, size_t count, void* to) {
  const size_t nwords = (count + kWordBits - 1) / kWordBits;
  if (nwords == 0) return;
  __builtin_memcpy(to, from, nwords * sizeof(Word));
  const size_t rest = count % kWordBits;
  if (rest != 0) {
    unsigned char* last = static_cast<unsigned char*>(to) + (nwords - 1) * sizeof(Word);
    Word word;
    __builtin_memcpy(&word, last, sizeof(word));
    word &= lowBits(rest);
    __builtin_memcpy(last, &word, sizeof(word));
  }
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_BITS_IMPL_H_
