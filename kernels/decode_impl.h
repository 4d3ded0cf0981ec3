// SPDX-License-Identifier: Apache-2.0
// Planes -> elements, for every instruction set: what votes and means share. Outputs are written in blocks of kWordBits
// elements that start at an aligned address, so that whole blocks can be stored past the cache. Elements before it and
// after the last block go through a small buffer. Sign words are then read at any bit.
//
// An `Isa` gives kOutputAlignment (in bytes, at most 64), kCanStream (whether it can store past the cache) and fence(),
// which orders such stores before later ones.
#ifndef SIGNCCL_KERNELS_DECODE_IMPL_H_
#define SIGNCCL_KERNELS_DECODE_IMPL_H_

#include "kernels/kernels.h"
#include "kernels/tuning.h"
#include "kernels/word_ops.h"

namespace signccl {

/// Bits [first, first + nbits) of a plane, at bit 0; no word beyond the last of them is read. 1 <= nbits <= kWordBits.
SIGNCCL_WORD_OP Word bitsAt(const Word* plane, size_t first, size_t nbits) {
  const size_t shift = first % kWordBits;
  const Word* words = plane + first / kWordBits;
  __builtin_prefetch(words + kDecodePrefetchWords);
  Word bits = words[0] >> shift;
  if (shift + nbits > kWordBits) bits |= words[1] << (kWordBits - shift);
  return bits;
}

/// Elements of `element_bytes` that lie before the first multiple of `alignment`; 0 if none of them starts there.
SIGNCCL_WORD_OP size_t elementsToAlign(const void* elements, size_t element_bytes, size_t alignment) {
  const size_t beyond = reinterpret_cast<uintptr_t>(elements) % alignment;
  if (beyond == 0 || beyond % element_bytes != 0) return 0;
  return (alignment - beyond) / element_bytes;
}

/// A run of elements [first, first + count) of the output, at `out`.
struct OutputRun {
  size_t first;
  size_t count;
  unsigned char* out;
};

/// A run of fewer than kWordBits elements. decoder.template block<kStream>(first, nbits, out) writes kWordBits
/// elements, of which only the first nbits have to mean anything.
template <size_t kElementBytes, typename Decoder>
void decodePartial(const Decoder& decoder, OutputRun run) {
  alignas(64) unsigned char block[kWordBits * kElementBytes];
  decoder.template block<false>(run.first, run.count, block);
  __builtin_memcpy(run.out, block, run.count * kElementBytes);
}

/// Whole blocks from run.first on; returns how many elements they hold.
template <size_t kElementBytes, bool kStream, typename Decoder>
size_t decodeWhole(const Decoder& decoder, OutputRun run) {
  size_t done = 0;
  for (; done + kWordBits <= run.count; done += kWordBits) {
    decoder.template block<kStream>(run.first + done, kWordBits, run.out + done * kElementBytes);
  }
  return done;
}

template <typename Isa, size_t kElementBytes, typename Decoder>
void decodeElements(const Decoder& decoder, size_t count, void* elements, Store store) {
  auto* out = static_cast<unsigned char*>(elements);
  size_t done = elementsToAlign(out, kElementBytes, Isa::kOutputAlignment);
  if (done > count) done = count;
  if (done != 0) decodePartial<kElementBytes>(decoder, {0, done, out});
  const OutputRun rest{done, count - done, out + done * kElementBytes};
  const bool aligned = reinterpret_cast<uintptr_t>(rest.out) % Isa::kOutputAlignment == 0;
  if (Isa::kCanStream && store == Store::kStreaming && aligned) {
    done += decodeWhole<kElementBytes, Isa::kCanStream>(decoder, rest);
    Isa::fence();
  } else {
    done += decodeWhole<kElementBytes, false>(decoder, rest);
  }
  if (done < count) decodePartial<kElementBytes>(decoder, {done, count - done, out + done * kElementBytes});
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_DECODE_IMPL_H_
