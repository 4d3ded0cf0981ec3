// SPDX-License-Identifier: Apache-2.0
// Elements that are to be -1, 0 or +1 -> sign words, and whether they are, for every instruction set. See
// Kernels::encodeSumBinary(); an `Isa` is that of encode_impl.h.
#ifndef SIGNCCL_KERNELS_ENCODE_SUM_IMPL_H_
#define SIGNCCL_KERNELS_ENCODE_SUM_IMPL_H_

#include "kernels/encode_impl.h"

namespace signccl {

/// The test element == value: the sum is the smallest signed number for that one element.
template <typename B>
SIGNCCL_WORD_OP constexpr SignTest<B> equalTo(B value) {
  constexpr B kSmallest = static_cast<B>(B{1} << (8 * sizeof(B) - 1));
  return {static_cast<B>(kSmallest - value), static_cast<B>(kSmallest + 1)};
}

/// What the elements of a block are, a bit for each.
struct SumWords {
  Word plus;
  Word minus;
};

/// Stores the sign words of a block. Bits beyond `counted` are 0.
template <bool kTernary>
SIGNCCL_WORD_OP void storeSumWords(SumWords words, Word counted, SignPlanes signs, size_t i) {
  if constexpr (kTernary) {
    signs.positive[i] = words.plus & counted;
    signs.nonnegative[i] = ~words.minus & counted;
  } else {
    signs.nonnegative[i] = words.plus & counted;
  }
}

/// `test(SignTest)` gives a test of the elements of a block, of which those of `counted` are there.
template <typename Format, bool kTernary, typename Test>
SIGNCCL_WORD_OP uint32_t encodeSumBlock(const Test& test, Word counted, SignPlanes signs, size_t i) {
  using Bits = typename Format::Bits;
  const SumWords words{test(equalTo<Bits>(Format::kSigns.plus)), test(equalTo<Bits>(Format::kSigns.minus))};
  storeSumWords<kTernary>(words, counted, signs, i);
  const Word rest = ~(words.plus | words.minus) & counted;
  if (rest == 0) return 0;
  const Word zeros = test(equalTo<Bits>(0)) & rest;
  return (zeros != 0 ? kMetZeros : 0) | (zeros != rest ? kMetOthers : 0);
}

template <typename Isa, typename Format, bool kTernary>
uint32_t encodeSumElements(const unsigned char* elements, size_t count, SignPlanes signs) {
  using Bits = typename Format::Bits;
  constexpr size_t kBlockBytes = kWordBits * sizeof(Bits);
  const size_t whole = count / kWordBits;
  uint32_t met = 0;
  for (size_t i = 0; i < whole; ++i) {
    const unsigned char* block = elements + i * kBlockBytes;
    prefetchAhead<kBlockBytes, kEncodePrefetchBytes>(block);
    const auto test = [block](SignTest<Bits> equal) { return Isa::test(block, equal); };
    met |= encodeSumBlock<Format, kTernary>(test, ~Word{0}, signs, i);
  }
  const size_t rest = count % kWordBits;
  if (rest == 0) return met;
  const unsigned char* last = elements + whole * kBlockBytes;
  const auto test = [last, rest](SignTest<Bits> equal) { return Isa::testFirst(last, rest, equal); };
  return met | encodeSumBlock<Format, kTernary>(test, lowBits(rest), signs, whole);
}

template <typename Isa, bool kTernary>
uint32_t encodeSum(ElementType type, const void* elements, size_t count, SignPlanes signs) {
  const auto* bytes = static_cast<const unsigned char*>(elements);
  switch (type) {
    case ElementType::kFloat32:
      return encodeSumElements<Isa, Float32Format, kTernary>(bytes, count, signs);
    case ElementType::kFloat16:
      return encodeSumElements<Isa, Float16Format, kTernary>(bytes, count, signs);
    case ElementType::kBFloat16:
      return encodeSumElements<Isa, BFloat16Format, kTernary>(bytes, count, signs);
    case ElementType::kFloat64:
      return encodeSumElements<Isa, Float64Format, kTernary>(bytes, count, signs);
    case ElementType::kInt8:
      return encodeSumElements<Isa, Int8Format, kTernary>(bytes, count, signs);
    case ElementType::kInt16:
    case ElementType::kInt32:
    case ElementType::kBits:
      break;  // not types of a sum
  }
  return kMetOthers;
}

template <typename Isa>
uint32_t encodeSumBinary(ElementType type, const void* elements, size_t count, Word* nonnegative) {
  return encodeSum<Isa, false>(type, elements, count, {nullptr, nonnegative});
}

template <typename Isa>
uint32_t encodeSumTernary(ElementType type, const void* elements, size_t count, Word* positive, Word* nonnegative) {
  return encodeSum<Isa, true>(type, elements, count, {positive, nonnegative});
}

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_ENCODE_SUM_IMPL_H_
