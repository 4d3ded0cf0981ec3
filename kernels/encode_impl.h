// SPDX-License-Identifier: Apache-2.0
// Elements -> sign words, for every instruction set. An `Isa` gives
//   Word Isa::test(const unsigned char* elements, SignTest<Bits>): the test of kWordBits elements, element 0 at bit 0;
//   Word Isa::testFirst(const unsigned char* elements, size_t count, SignTest<Bits>): of fewer elements, none beyond
//     which is read; bits from `count` on mean nothing.
#ifndef SIGNCCL_KERNELS_ENCODE_IMPL_H_
#define SIGNCCL_KERNELS_ENCODE_IMPL_H_

#include "kernels/bits_impl.h"
#include "kernels/formats.h"
#include "kernels/kernels.h"
#include "kernels/tuning.h"
#include "kernels/word_ops.h"

namespace signccl {

/// Where encoded words go; positive is nullptr for binary signs.
struct SignPlanes {
  Word* positive;
  Word* nonnegative;
};

/// Asks for the lines of a block that is read soon, kAhead bytes beyond `block`. The addresses may lie beyond the
/// buffer: nothing is read from them.
template <size_t kBytes, size_t kAhead>
SIGNCCL_WORD_OP void prefetchAhead(const unsigned char* block) {
  for (size_t line = 0; line < kBytes; line += 64) __builtin_prefetch(block + kAhead + line);
}

template <typename Isa, typename Format, bool kTernary>
SIGNCCL_WORD_OP void encodeBlock(const unsigned char* block, SignPlanes signs, size_t i) {
  if constexpr (kTernary) signs.positive[i] = Isa::test(block, Format::kPositive);
  signs.nonnegative[i] = ~Isa::test(block, Format::kNegative);
}

template <typename Isa, typename Format, bool kTernary>
SIGNCCL_WORD_OP void encodeLast(const unsigned char* elements, size_t count, SignPlanes signs, size_t i) {
  if constexpr (kTernary) {
    signs.positive[i] = Isa::testFirst(elements, count, Format::kPositive) & lowBits(count);
  }
  signs.nonnegative[i] = ~Isa::testFirst(elements, count, Format::kNegative) & lowBits(count);
}

/// Isa::testFirst() where vectors are loaded whole: of a copy.
template <typename Isa, typename Bits>
SIGNCCL_WORD_OP Word testCopy(const unsigned char* elements, size_t count, SignTest<Bits> test) {
  unsigned char block[kWordBits * sizeof(Bits)] = {};
  __builtin_memcpy(block, elements, count * sizeof(Bits));
  return Isa::test(block, test);
}

template <typename Isa, typename Format, bool kTernary>
void encodeElements(const unsigned char* elements, size_t count, SignPlanes signs) {
  constexpr size_t kElementBytes = sizeof(typename Format::Bits);
  constexpr size_t kBlockBytes = kWordBits * kElementBytes;
  const size_t whole = count / kWordBits;
  for (size_t i = 0; i < whole; ++i) {
    const unsigned char* block = elements + i * kBlockBytes;
    prefetchAhead<kBlockBytes, kEncodePrefetchBytes>(block);
    encodeBlock<Isa, Format, kTernary>(block, signs, i);
  }
  const size_t rest = count % kWordBits;
  if (rest != 0) encodeLast<Isa, Format, kTernary>(elements + whole * kBlockBytes, rest, signs, whole);
}

template <typename Isa, bool kTernary>
void encode(ElementType type, const void* elements, size_t count, SignPlanes signs) {
  const auto* bytes = static_cast<const unsigned char*>(elements);
  switch (type) {
    case ElementType::kFloat32:
      return encodeElements<Isa, Float32Format, kTernary>(bytes, count, signs);
    case ElementType::kFloat16:
      return encodeElements<Isa, Float16Format, kTernary>(bytes, count, signs);
    case ElementType::kBFloat16:
      return encodeElements<Isa, BFloat16Format, kTernary>(bytes, count, signs);
    case ElementType::kFloat64:
      return encodeElements<Isa, Float64Format, kTernary>(bytes, count, signs);
    case ElementType::kInt8:
      return encodeElements<Isa, Int8Format, kTernary>(bytes, count, signs);
    case ElementType::kBits:
      if constexpr (kTernary) copyBits<Isa>(elements, count, signs.positive);
      return copyBits<Isa>(elements, count, signs.nonnegative);
    case ElementType::kInt16:
    case ElementType::kInt32:
      return;  // not input types
  }
}

template <typename Isa>
void encodeBinary(ElementType type, const void* elements, size_t count, Word* nonnegative) {
  encode<Isa, false>(type, elements, count, {nullptr, nonnegative});
}

template <typename Isa>
void encodeTernary(ElementType type, const void* elements, size_t count, Word* positive, Word* nonnegative) {
  encode<Isa, true>(type, elements, count, {positive, nonnegative});
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_ENCODE_IMPL_H_
