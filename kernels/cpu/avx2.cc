// SPDX-License-Identifier: Apache-2.0
// AVX2: 256-bit words; bit masks are made and taken apart with shuffles and compares.
#include <immintrin.h>

#include "kernels/cpu/avx2_floats.h"
#include "kernels/instances.h"
#include "kernels/kernels_impl.h"

namespace signccl {
namespace {

SIGNCCL_WORD_OP __m256i loadVector(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

struct Avx2Word {
  static constexpr size_t kWords = 4;
  __m256i v;

  SIGNCCL_WORD_OP static __m256i maskOf(FirstLanes lanes) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(static_cast<long long>(lanes.nwords)), _mm256_setr_epi64x(0, 1, 2, 3));
  }

  SIGNCCL_WORD_OP static Avx2Word load(const Word* words, AllLanes) { return {loadVector(words)}; }
  SIGNCCL_WORD_OP static Avx2Word load(const Word* words, FirstLanes lanes) {
    return {_mm256_maskload_epi64(reinterpret_cast<const long long*>(words), maskOf(lanes))};
  }
  SIGNCCL_WORD_OP void store(Word* words, AllLanes) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(words), v); }
  SIGNCCL_WORD_OP void store(Word* words, FirstLanes lanes) const {
    _mm256_maskstore_epi64(reinterpret_cast<long long*>(words), maskOf(lanes), v);
  }
  SIGNCCL_WORD_OP static Avx2Word fill(Word word) { return {_mm256_set1_epi64x(static_cast<long long>(word))}; }

  SIGNCCL_WORD_OP friend Avx2Word operator&(Avx2Word a, Avx2Word b) { return {_mm256_and_si256(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend Avx2Word operator|(Avx2Word a, Avx2Word b) { return {_mm256_or_si256(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend Avx2Word operator^(Avx2Word a, Avx2Word b) { return {_mm256_xor_si256(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend Avx2Word operator~(Avx2Word a) { return a ^ fill(~Word{0}); }
  SIGNCCL_WORD_OP friend Avx2Word andNot(Avx2Word a, Avx2Word b) { return {_mm256_andnot_si256(b.v, a.v)}; }

  SIGNCCL_WORD_OP static Avx2Word sequence(uint64_t zeroth, uint64_t step, uint64_t first) {
    const auto multiple = [=](uint64_t k) { return static_cast<long long>((first + k) * step); };
    return {_mm256_add_epi64(fill(zeroth).v, _mm256_setr_epi64x(multiple(0), multiple(1), multiple(2), multiple(3)))};
  }
  SIGNCCL_WORD_OP friend Avx2Word operator+(Avx2Word a, Avx2Word b) { return {_mm256_add_epi64(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend Avx2Word swapHalves(Avx2Word a) { return {_mm256_shuffle_epi32(a.v, 0xB1)}; }
  SIGNCCL_WORD_OP friend Avx2Word multiplyLow(Avx2Word a, Avx2Word b) { return {_mm256_mul_epu32(a.v, b.v)}; }
};

template <bool kStream>
SIGNCCL_WORD_OP void put(unsigned char* out, __m256i v) {
  if constexpr (kStream) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(out), v);
  } else {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), v);
  }
}

/// The instructions that differ by the width of an element. spread: all ones in the elements whose bit of `mask` is
/// set, from bit e on, a multiple of the number of lanes.
template <typename Bits>
struct Lanes;

template <>
struct Lanes<uint8_t> {
  SIGNCCL_WORD_OP static __m256i fill(uint8_t x) { return _mm256_set1_epi8(static_cast<char>(x)); }
  SIGNCCL_WORD_OP static __m256i add(__m256i a, __m256i b) { return _mm256_add_epi8(a, b); }
  SIGNCCL_WORD_OP static __m256i less(__m256i a, __m256i b) { return _mm256_cmpgt_epi8(b, a); }
  SIGNCCL_WORD_OP static __m256i spread(Word mask, size_t e) {
    const __m256i byte_of_element = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit_of_element = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(mask >> e)), byte_of_element);
    return _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit_of_element), bit_of_element);
  }
};

template <>
struct Lanes<uint16_t> {
  SIGNCCL_WORD_OP static __m256i fill(uint16_t x) { return _mm256_set1_epi16(static_cast<short>(x)); }
  SIGNCCL_WORD_OP static __m256i add(__m256i a, __m256i b) { return _mm256_add_epi16(a, b); }
  SIGNCCL_WORD_OP static __m256i less(__m256i a, __m256i b) { return _mm256_cmpgt_epi16(b, a); }
  SIGNCCL_WORD_OP static __m256i spread(Word mask, size_t e) {
    const __m256i bit = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12,
                                          1 << 13, 1 << 14, static_cast<short>(1 << 15));
    return _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_set1_epi16(static_cast<short>(mask >> e)), bit), bit);
  }
};

template <>
struct Lanes<uint32_t> {
  SIGNCCL_WORD_OP static __m256i fill(uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  SIGNCCL_WORD_OP static __m256i add(__m256i a, __m256i b) { return _mm256_add_epi32(a, b); }
  SIGNCCL_WORD_OP static __m256i less(__m256i a, __m256i b) { return _mm256_cmpgt_epi32(b, a); }
  /// Four vectors share a register with half of the mask, since moving it there takes as long as the rest.
  SIGNCCL_WORD_OP static __m256i spread(Word mask, size_t e) {
    const __m256i half = _mm256_set1_epi32(static_cast<int>(mask >> (e & 32)));
    const __m256i bit = _mm256_slli_epi32(_mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128), static_cast<int>(e & 31));
    return _mm256_cmpeq_epi32(_mm256_and_si256(half, bit), bit);
  }
};

template <>
struct Lanes<uint64_t> {
  SIGNCCL_WORD_OP static __m256i fill(uint64_t x) { return _mm256_set1_epi64x(static_cast<long long>(x)); }
  SIGNCCL_WORD_OP static __m256i add(__m256i a, __m256i b) { return _mm256_add_epi64(a, b); }
  SIGNCCL_WORD_OP static __m256i less(__m256i a, __m256i b) { return _mm256_cmpgt_epi64(b, a); }
  SIGNCCL_WORD_OP static __m256i spread(Word mask, size_t e) {
    const __m256i bit = _mm256_setr_epi64x(1, 2, 4, 8);
    return _mm256_cmpeq_epi64(_mm256_and_si256(fill(mask >> e), bit), bit);
  }
};

/// Bit i = the all-ones or all-zeros byte i.
SIGNCCL_WORD_OP Word maskOfBytes(__m256i bytes) { return static_cast<uint32_t>(_mm256_movemask_epi8(bytes)); }

/// Looks up bytes, 32 elements at a time: byte b of every entry has a table of its own, of 16 bytes per shuffle.
/// Interleaving the bytes of an element works inside each half of a register, so elements are put into the halves
/// accordingly.
template <typename Bits>
class ShuffleTable {
 public:
  static constexpr int kBytes = sizeof(Bits);
  static constexpr int kMaxPlanes = kBytes <= 4 ? 6 : -1;

  ShuffleTable(const void* table, int nplanes) {
    const auto* bytes = static_cast<const unsigned char*>(table);
    for (size_t i = 0; i < size_t{kBytes} << nplanes; ++i) entries_[i % kBytes][i / kBytes] = bytes[i];
  }

  template <bool kStream>
  SIGNCCL_WORD_OP void lookup(const Word* words, int nplanes, unsigned char* out) const {
    for (size_t e = 0; e < kWordBits; e += 32) {
      const __m256i indices = gatherIndices(words, nplanes, e);
      unsigned char* half = out + e * kBytes;
      if (nplanes <= 4) {
        lookupHalf<0, kStream>(indices, half);
      } else if (nplanes == 5) {
        lookupHalf<1, kStream>(indices, half);
      } else {
        lookupHalf<2, kStream>(indices, half);
      }
    }
  }

 private:
  /// Which byte of 32 mask bits, and which bit of it, belongs to each position of a register.
  SIGNCCL_WORD_OP static __m256i byteOfPosition() {
    if constexpr (kBytes == 1) {
      return _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    } else if constexpr (kBytes == 2) {
      return _mm256_setr_epi64x(0, 0x0202020202020202, 0x0101010101010101, 0x0303030303030303);
    } else {
      return _mm256_setr_epi64x(0x0101010100000000, 0x0303030302020202, 0x0101010100000000, 0x0303030302020202);
    }
  }
  SIGNCCL_WORD_OP static __m256i bitOfPosition() {
    if constexpr (kBytes <= 2) {
      return _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
    } else {
      return _mm256_setr_epi64x(0x0804020108040201, 0x0804020108040201, static_cast<long long>(0x8040201080402010),
                                static_cast<long long>(0x8040201080402010));
    }
  }

  SIGNCCL_WORD_OP static __m256i gatherIndices(const Word* words, int nplanes, size_t shift) {
    const __m256i byte = byteOfPosition();
    const __m256i bit = bitOfPosition();
    __m256i indices = _mm256_setzero_si256();
    __m256i weight = _mm256_set1_epi8(1);
    for (int j = 0; j < nplanes; ++j) {
      const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(words[j] >> shift)), byte);
      const __m256i is_set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
      indices = _mm256_or_si256(indices, _mm256_and_si256(is_set, weight));
      weight = _mm256_add_epi8(weight, weight);
    }
    return indices;
  }

  /// Byte `b` of 32 entries. Shuffles look at the 4 lowest bits; bit 4 + kExtra - 1 of an index chooses between halves.
  template <int kExtra>
  SIGNCCL_WORD_OP __m256i select(int b, size_t first, __m256i indices) const {
    if constexpr (kExtra == 0) {
      const auto* entries = reinterpret_cast<const __m128i*>(entries_[b] + first);
      return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_load_si128(entries)), indices);
    } else {
      const __m256i low = select<kExtra - 1>(b, first, indices);
      const __m256i high = select<kExtra - 1>(b, first + (size_t{8} << kExtra), indices);
      return _mm256_blendv_epi8(low, high, _mm256_slli_epi16(indices, 4 - kExtra));
    }
  }

  template <int kExtra, bool kStream>
  SIGNCCL_WORD_OP void lookupHalf(__m256i indices, unsigned char* out) const {
    const __m256i b0 = select<kExtra>(0, 0, indices);
    if constexpr (kBytes == 1) {
      put<kStream>(out, b0);
    } else {
      const __m256i b1 = select<kExtra>(1, 0, indices);
      const __m256i low = _mm256_unpacklo_epi8(b0, b1);
      const __m256i high = _mm256_unpackhi_epi8(b0, b1);
      if constexpr (kBytes == 2) {
        put<kStream>(out, low);
        put<kStream>(out + 32, high);
      } else {
        putWide<kExtra, kStream>(indices, low, high, out);
      }
    }
  }

  /// Elements of 4 bytes whose lower halves are `low` and `high`.
  template <int kExtra, bool kStream>
  SIGNCCL_WORD_OP void putWide(__m256i indices, __m256i low, __m256i high, unsigned char* out) const {
    const __m256i b2 = select<kExtra>(2, 0, indices);
    const __m256i b3 = select<kExtra>(3, 0, indices);
    const __m256i upper_low = _mm256_unpacklo_epi8(b2, b3);
    const __m256i upper_high = _mm256_unpackhi_epi8(b2, b3);
    put<kStream>(out, _mm256_unpacklo_epi16(low, upper_low));
    put<kStream>(out + 32, _mm256_unpackhi_epi16(low, upper_low));
    put<kStream>(out + 64, _mm256_unpacklo_epi16(high, upper_high));
    put<kStream>(out + 96, _mm256_unpackhi_epi16(high, upper_high));
  }

  alignas(64) unsigned char entries_[kBytes][64] = {};
};

struct Avx2 {
  using Vec = Avx2Word;
  using Floats = Avx2Floats;
  static constexpr size_t kOutputAlignment = 64;  // a cache line: streaming half lines is slower
  static constexpr bool kCanStream = true;
  SIGNCCL_WORD_OP static void fence() { _mm_sfence(); }

  /// The test of the vector of elements that starts at element e.
  template <typename Bits>
  SIGNCCL_WORD_OP static __m256i testVector(const unsigned char* elements, size_t e, SignTest<Bits> test) {
    const __m256i v = loadVector(elements + e * sizeof(Bits));
    return Lanes<Bits>::less(Lanes<Bits>::add(v, Lanes<Bits>::fill(test.add)), Lanes<Bits>::fill(test.limit));
  }

  template <typename Bits>
  SIGNCCL_WORD_OP static Word test(const unsigned char* elements, SignTest<Bits> test) {
    Word result = 0;
    if constexpr (sizeof(Bits) == 1) {
      for (size_t e = 0; e < kWordBits; e += 32) result |= maskOfBytes(testVector(elements, e, test)) << e;
    } else if constexpr (sizeof(Bits) == 2) {
      for (size_t e = 0; e < kWordBits; e += 32) {
        // Packing works inside halves: put the four quarters back in order.
        const __m256i packed = _mm256_packs_epi16(testVector(elements, e, test), testVector(elements, e + 16, test));
        result |= maskOfBytes(_mm256_permute4x64_epi64(packed, 0xD8)) << e;
      }
    } else if constexpr (sizeof(Bits) == 4) {
      for (size_t e = 0; e < kWordBits; e += 8) {
        const __m256 mask = _mm256_castsi256_ps(testVector(elements, e, test));
        result |= static_cast<Word>(_mm256_movemask_ps(mask)) << e;
      }
    } else {
      for (size_t e = 0; e < kWordBits; e += 4) {
        const __m256d mask = _mm256_castsi256_pd(testVector(elements, e, test));
        result |= static_cast<Word>(_mm256_movemask_pd(mask)) << e;
      }
    }
    return result;
  }

  template <typename Bits>
  SIGNCCL_WORD_OP static Word testFirst(const unsigned char* elements, size_t count, SignTest<Bits> test) {
    return testCopy<Avx2>(elements, count, test);
  }

  template <bool kZeros, bool kStream, typename Bits>
  SIGNCCL_WORD_OP static void expand(Word plus, Word zero, SignValues<Bits> signs, unsigned char* out) {
    constexpr size_t kLanes = 32 / sizeof(Bits);
    const __m256i minus_one = Lanes<Bits>::fill(signs.minus);
    const __m256i difference = Lanes<Bits>::fill(static_cast<Bits>(signs.plus ^ signs.minus));
    repeat<kWordBits / kLanes>([&](size_t k) {
      const size_t e = k * kLanes;
      const __m256i is_plus = Lanes<Bits>::spread(plus, e);
      __m256i v = _mm256_xor_si256(minus_one, _mm256_and_si256(is_plus, difference));
      if constexpr (kZeros) v = _mm256_andnot_si256(Lanes<Bits>::spread(zero, e), v);
      put<kStream>(out + e * sizeof(Bits), v);
    });
  }

  template <typename Bits>
  using Table = ShuffleTable<Bits>;

  SIGNCCL_WORD_OP static void packBytes(const Word* words, int nplanes, uint8_t* bytes) {
    for (size_t e = 0; e < kWordBits; e += 32) {
      __m256i numbers = _mm256_setzero_si256();
      __m256i weight = _mm256_set1_epi8(1);
      for (int j = 0; j < nplanes; ++j) {
        numbers = _mm256_or_si256(numbers, _mm256_and_si256(Lanes<uint8_t>::spread(words[j], e), weight));
        weight = _mm256_add_epi8(weight, weight);
      }
      put<false>(bytes + e, numbers);
    }
  }

  template <bool kStream, size_t kBytes>
  SIGNCCL_WORD_OP static void copyBlock(const unsigned char* from, unsigned char* out) {
    for (size_t i = 0; i < kBytes; i += 32) put<kStream>(out + i, loadVector(from + i));
  }
};

}  // namespace

constinit const Kernels kAvx2Kernels = makeKernels<Avx2>("avx2", avx2Supported);

}  // namespace signccl
