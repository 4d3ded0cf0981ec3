// SPDX-License-Identifier: Apache-2.0
// Plain C++, a word or two at a time: runs everywhere.
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "kernels/cpu/scalar_floats.h"
#include "kernels/instances.h"
#include "kernels/kernels_impl.h"

namespace signccl {
namespace {

/// Two words in the vectors that GCC and Clang have for every machine. They become what each processor of an
/// architecture has (SSE2 on x86-64), or two plain words.
struct TwoWords {
  static constexpr size_t kWords = 2;
  using Vector = uint64_t __attribute__((vector_size(16)));
  using Halves = uint32_t __attribute__((vector_size(16)));
  Vector v;

  SIGNCCL_WORD_OP static TwoWords load(const Word* words, AllLanes) {
    Vector v;
    __builtin_memcpy(&v, words, sizeof(v));
    return {v};
  }
  SIGNCCL_WORD_OP static TwoWords load(const Word* words, FirstLanes) {
    return {Vector{*words, 0}};  // fewer than two words, so one
  }
  SIGNCCL_WORD_OP void store(Word* words, AllLanes) const { __builtin_memcpy(words, &v, sizeof(v)); }
  SIGNCCL_WORD_OP void store(Word* words, FirstLanes) const { *words = v[0]; }
  SIGNCCL_WORD_OP static TwoWords fill(Word word) { return {Vector{word, word}}; }

  SIGNCCL_WORD_OP friend TwoWords operator&(TwoWords a, TwoWords b) { return {a.v & b.v}; }
  SIGNCCL_WORD_OP friend TwoWords operator|(TwoWords a, TwoWords b) { return {a.v | b.v}; }
  SIGNCCL_WORD_OP friend TwoWords operator^(TwoWords a, TwoWords b) { return {a.v ^ b.v}; }
  SIGNCCL_WORD_OP friend TwoWords operator~(TwoWords a) { return {~a.v}; }
  SIGNCCL_WORD_OP friend TwoWords andNot(TwoWords a, TwoWords b) { return {a.v & ~b.v}; }

  SIGNCCL_WORD_OP static TwoWords sequence(uint64_t zeroth, uint64_t step, uint64_t first) {
    return {fill(zeroth).v + Vector{first * step, (first + 1) * step}};
  }
  SIGNCCL_WORD_OP friend TwoWords operator+(TwoWords a, TwoWords b) { return {a.v + b.v}; }
  SIGNCCL_WORD_OP friend TwoWords swapHalves(TwoWords a) {
    const auto halves = reinterpret_cast<Halves>(a.v);
    return {reinterpret_cast<Vector>(__builtin_shufflevector(halves, halves, 1, 0, 3, 2))};
  }
  SIGNCCL_WORD_OP friend TwoWords multiplyLow(TwoWords a, TwoWords b) {
#if defined(__SSE2__)
    // Of the portable multiplication GCC makes three of these.
    return {reinterpret_cast<Vector>(_mm_mul_epu32(reinterpret_cast<__m128i>(a.v), reinterpret_cast<__m128i>(b.v)))};
#else
    const Vector low = fill(0xFFFF'FFFF).v;
    return {(a.v & low) * (b.v & low)};
#endif
  }
};

/// Bit b of an 8-bit number -> bit 0 of byte b.
SIGNCCL_WORD_OP uint64_t spreadBits(uint64_t byte) {
  const uint64_t in_place = (byte * 0x0101'0101'0101'0101) & 0x8040'2010'0804'0201;
  return ((in_place + 0x7F7F'7F7F'7F7F'7F7F) >> 7) & 0x0101'0101'0101'0101;
}

struct Scalar {
  using Vec = TwoWords;
  using Floats = FourFloats;
  static constexpr size_t kOutputAlignment = 1;
  static constexpr bool kCanStream = false;
  static void fence() {}

  template <typename Bits>
  SIGNCCL_WORD_OP static Word test(const unsigned char* elements, SignTest<Bits> test) {
    constexpr Bits kSignBit = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
    const Bits limit = test.limit ^ kSignBit;  // signed order is unsigned order with the sign bit flipped
    Word result = 0;
    for (size_t e = 0; e < kWordBits; ++e) {
      Bits element;
      __builtin_memcpy(&element, elements + e * sizeof(Bits), sizeof(element));
      const Bits shifted = static_cast<Bits>(static_cast<Bits>(element + test.add) ^ kSignBit);
      result |= Word{shifted < limit} << e;
    }
    return result;
  }

  template <typename Bits>
  SIGNCCL_WORD_OP static Word testFirst(const unsigned char* elements, size_t count, SignTest<Bits> test) {
    return testCopy<Scalar>(elements, count, test);
  }

  template <bool kZeros, bool kStream, typename Bits>
  SIGNCCL_WORD_OP static void expand(Word plus, Word zero, SignValues<Bits> signs, unsigned char* out) {
    const Bits difference = signs.plus ^ signs.minus;
    for (size_t e = 0; e < kWordBits; ++e) {
      const Bits is_plus = static_cast<Bits>(0 - ((plus >> e) & 1));
      Bits element = static_cast<Bits>(signs.minus ^ (is_plus & difference));
      if constexpr (kZeros) element = static_cast<Bits>(element & (((zero >> e) & 1) - 1));
      __builtin_memcpy(out + e * sizeof(Bits), &element, sizeof(element));
    }
  }

  template <typename Bits>
  struct Table {
    static constexpr int kMaxPlanes = -1;
  };

  SIGNCCL_WORD_OP static void packBytes(const Word* words, int nplanes, uint8_t* bytes) {
    for (size_t e = 0; e < kWordBits; e += 8) {
      uint64_t eight = 0;
      for (int j = 0; j < nplanes; ++j) eight |= spreadBits((words[j] >> e) & 0xFF) << j;
      __builtin_memcpy(bytes + e, &eight, sizeof(eight));
    }
  }

  template <bool kStream, size_t kBytes>
  SIGNCCL_WORD_OP static void copyBlock(const unsigned char* from, unsigned char* out) {
    __builtin_memcpy(out, from, kBytes);
  }
};

}  // namespace

constinit const Kernels kScalarKernels = makeKernels<Scalar>("scalar", everySupported);

}  // namespace signccl
