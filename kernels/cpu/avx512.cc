// SPDX-License-Identifier: Apache-2.0
// AVX-512 (F, BW, DQ, VL): 512-bit words, a full adder in two instructions, bit masks as they come.
#include "kernels/cpu/avx512_floats.h"
#include "kernels/cpu/avx512_intrinsics.h"
#include "kernels/instances.h"
#include "kernels/kernels_impl.h"

namespace signccl {
namespace {

struct Avx512Word {
  static constexpr size_t kWords = 8;
  __m512i v;

  SIGNCCL_WORD_OP static __mmask8 maskOf(FirstLanes lanes) { return static_cast<__mmask8>((1U << lanes.nwords) - 1); }

  SIGNCCL_WORD_OP static Avx512Word load(const Word* words, AllLanes) { return {_mm512_loadu_si512(words)}; }
  SIGNCCL_WORD_OP static Avx512Word load(const Word* words, FirstLanes lanes) {
    return {_mm512_maskz_loadu_epi64(maskOf(lanes), words)};
  }
  SIGNCCL_WORD_OP void store(Word* words, AllLanes) const { _mm512_storeu_si512(words, v); }
  SIGNCCL_WORD_OP void store(Word* words, FirstLanes lanes) const { _mm512_mask_storeu_epi64(words, maskOf(lanes), v); }
  SIGNCCL_WORD_OP static Avx512Word fill(Word word) { return {_mm512_set1_epi64(static_cast<long long>(word))}; }

  SIGNCCL_WORD_OP friend Avx512Word operator&(Avx512Word a, Avx512Word b) { return {_mm512_and_si512(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend Avx512Word operator|(Avx512Word a, Avx512Word b) { return {_mm512_or_si512(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend Avx512Word operator^(Avx512Word a, Avx512Word b) { return {_mm512_xor_si512(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend Avx512Word operator~(Avx512Word a) { return {_mm512_ternarylogic_epi64(a.v, a.v, a.v, 0x55)}; }
  SIGNCCL_WORD_OP friend Avx512Word andNot(Avx512Word a, Avx512Word b) { return {_mm512_andnot_si512(b.v, a.v)}; }
  SIGNCCL_WORD_OP static Avx512Word sequence(uint64_t zeroth, uint64_t step, uint64_t first) {
    const auto multiple = [=](uint64_t k) { return static_cast<long long>((first + k) * step); };
    return {_mm512_add_epi64(fill(zeroth).v, _mm512_setr_epi64(multiple(0), multiple(1), multiple(2), multiple(3),
                                                               multiple(4), multiple(5), multiple(6), multiple(7)))};
  }
  SIGNCCL_WORD_OP friend Avx512Word operator+(Avx512Word a, Avx512Word b) { return {_mm512_add_epi64(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend Avx512Word swapHalves(Avx512Word a) {
    return {_mm512_maskz_shuffle_epi32(static_cast<__mmask16>(-1), a.v, _MM_PERM_CDAB)};
  }
  SIGNCCL_WORD_OP friend Avx512Word multiplyLow(Avx512Word a, Avx512Word b) { return {_mm512_mul_epu32(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend void fullAdd(Avx512Word a, Avx512Word b, Avx512Word c, Avx512Word& sum, Avx512Word& carry) {
    constexpr int kParity = 0x96;
    constexpr int kMajority = 0xE8;
    sum.v = _mm512_ternarylogic_epi64(a.v, b.v, c.v, kParity);
    carry.v = _mm512_ternarylogic_epi64(a.v, b.v, c.v, kMajority);
  }
};

template <bool kStream>
SIGNCCL_WORD_OP void put(unsigned char* out, __m512i v) {
  if constexpr (kStream) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(out), v);
  } else {
    _mm512_storeu_si512(out, v);
  }
}

template <bool kStream>
SIGNCCL_WORD_OP void putHalf(unsigned char* out, __m256i v) {
  if constexpr (kStream) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(out), v);
  } else {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), v);
  }
}

/// The instructions that differ by the width of an element. Masks have a bit per element; bits beyond are ignored.
/// load() reads no element whose bit is 0.
template <typename Bits>
struct Lanes;

template <>
struct Lanes<uint8_t> {
  SIGNCCL_WORD_OP static __m512i fill(uint8_t x) { return _mm512_set1_epi8(static_cast<char>(x)); }
  SIGNCCL_WORD_OP static __m512i add(__m512i a, __m512i b) { return _mm512_add_epi8(a, b); }
  SIGNCCL_WORD_OP static __mmask64 less(__m512i a, __m512i b) { return _mm512_cmplt_epi8_mask(a, b); }
  SIGNCCL_WORD_OP static __m512i load(Word mask, const void* p) { return _mm512_maskz_loadu_epi8(mask, p); }
  SIGNCCL_WORD_OP static __m512i keep(Word mask, __m512i a) { return _mm512_maskz_mov_epi8(mask, a); }
  SIGNCCL_WORD_OP static __m512i blend(Word mask, __m512i clear, __m512i set) {
    return _mm512_mask_blend_epi8(mask, clear, set);
  }
};

template <>
struct Lanes<uint16_t> {
  static constexpr int kPermutePlanes = 6;
  SIGNCCL_WORD_OP static __mmask32 maskOf(Word mask) { return static_cast<__mmask32>(mask); }
  SIGNCCL_WORD_OP static __m512i fill(uint16_t x) { return _mm512_set1_epi16(static_cast<short>(x)); }
  SIGNCCL_WORD_OP static __m512i add(__m512i a, __m512i b) { return _mm512_add_epi16(a, b); }
  SIGNCCL_WORD_OP static __mmask32 less(__m512i a, __m512i b) { return _mm512_cmplt_epi16_mask(a, b); }
  SIGNCCL_WORD_OP static __m512i load(Word mask, const void* p) { return _mm512_maskz_loadu_epi16(maskOf(mask), p); }
  SIGNCCL_WORD_OP static __m512i keep(Word mask, __m512i a) { return _mm512_maskz_mov_epi16(maskOf(mask), a); }
  SIGNCCL_WORD_OP static __m512i blend(Word mask, __m512i clear, __m512i set) {
    return _mm512_mask_blend_epi16(maskOf(mask), clear, set);
  }
  SIGNCCL_WORD_OP static __m512i permute(__m512i low, __m512i indices, __m512i high) {
    return _mm512_permutex2var_epi16(low, indices, high);
  }
  SIGNCCL_WORD_OP static __m512i widen(const uint8_t* bytes) {
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
  }
};

template <>
struct Lanes<uint32_t> {
  static constexpr int kPermutePlanes = 5;
  SIGNCCL_WORD_OP static __mmask16 maskOf(Word mask) { return static_cast<__mmask16>(mask); }
  SIGNCCL_WORD_OP static __m512i fill(uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  SIGNCCL_WORD_OP static __m512i add(__m512i a, __m512i b) { return _mm512_add_epi32(a, b); }
  SIGNCCL_WORD_OP static __mmask16 less(__m512i a, __m512i b) { return _mm512_cmplt_epi32_mask(a, b); }
  SIGNCCL_WORD_OP static __m512i load(Word mask, const void* p) { return _mm512_maskz_loadu_epi32(maskOf(mask), p); }
  SIGNCCL_WORD_OP static __m512i keep(Word mask, __m512i a) { return _mm512_maskz_mov_epi32(maskOf(mask), a); }
  SIGNCCL_WORD_OP static __m512i blend(Word mask, __m512i clear, __m512i set) {
    return _mm512_mask_blend_epi32(maskOf(mask), clear, set);
  }
  SIGNCCL_WORD_OP static __m512i permute(__m512i low, __m512i indices, __m512i high) {
    return _mm512_permutex2var_epi32(low, indices, high);
  }
  SIGNCCL_WORD_OP static __m512i widen(const uint8_t* bytes) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
  }
};

template <>
struct Lanes<uint64_t> {
  static constexpr int kPermutePlanes = 4;
  SIGNCCL_WORD_OP static __mmask8 maskOf(Word mask) { return static_cast<__mmask8>(mask); }
  SIGNCCL_WORD_OP static __m512i fill(uint64_t x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
  SIGNCCL_WORD_OP static __m512i add(__m512i a, __m512i b) { return _mm512_add_epi64(a, b); }
  SIGNCCL_WORD_OP static __mmask8 less(__m512i a, __m512i b) { return _mm512_cmplt_epi64_mask(a, b); }
  SIGNCCL_WORD_OP static __m512i load(Word mask, const void* p) { return _mm512_maskz_loadu_epi64(maskOf(mask), p); }
  SIGNCCL_WORD_OP static __m512i keep(Word mask, __m512i a) { return _mm512_maskz_mov_epi64(maskOf(mask), a); }
  SIGNCCL_WORD_OP static __m512i blend(Word mask, __m512i clear, __m512i set) {
    return _mm512_mask_blend_epi64(maskOf(mask), clear, set);
  }
  SIGNCCL_WORD_OP static __m512i permute(__m512i low, __m512i indices, __m512i high) {
    return _mm512_permutex2var_epi64(low, indices, high);
  }
  SIGNCCL_WORD_OP static __m512i widen(const uint8_t* bytes) {
    return _mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)));
  }
};

/// See packBytes() of decode_avg_impl.h.
SIGNCCL_WORD_OP __m512i packedBytes(const Word* words, int nplanes) {
  __m512i numbers = _mm512_setzero_si512();
  __m512i weight = _mm512_set1_epi8(1);
  for (int j = 0; j < nplanes; ++j) {
    numbers = _mm512_mask_add_epi8(numbers, words[j], numbers, weight);
    weight = _mm512_add_epi8(weight, weight);
  }
  return numbers;
}

/// How a table holds entries of a width: as they are, bytes in 16 bits.
template <typename Bits>
struct TableEntry {
  using Type = Bits;
};
template <>
struct TableEntry<uint8_t> {
  using Type = uint16_t;
};

/// Entries in registers: the lowest planes select inside two registers, each plane above them between two halves.
template <typename Bits>
class RegisterTable {
 public:
  using Entry = typename TableEntry<Bits>::Type;
  static constexpr int kExtraPlanes = 3;
  static constexpr int kMaxPlanes = Lanes<Entry>::kPermutePlanes + kExtraPlanes;

  RegisterTable(const void* table, int nplanes) {
    const auto* bytes = static_cast<const unsigned char*>(table);
    for (size_t i = 0; i < size_t{1} << nplanes; ++i) {
      Bits entry;
      __builtin_memcpy(&entry, bytes + i * sizeof(Bits), sizeof(entry));
      entries_[i] = entry;
    }
  }

  template <bool kStream>
  SIGNCCL_WORD_OP void lookup(const Word* words, int nplanes, unsigned char* out) const {
    alignas(64) uint8_t indices[kWordBits];
    _mm512_store_si512(indices, packedBytes(words, nplanes < kPermutePlanes ? nplanes : kPermutePlanes));
    switch (nplanes - kPermutePlanes) {
      case 1:
        return lookupBlock<1, kStream>(words, indices, out);
      case 2:
        return lookupBlock<2, kStream>(words, indices, out);
      case 3:
        return lookupBlock<3, kStream>(words, indices, out);
      default:
        return lookupBlock<0, kStream>(words, indices, out);
    }
  }

 private:
  static constexpr int kPermutePlanes = Lanes<Entry>::kPermutePlanes;
  static constexpr size_t kLanes = 64 / sizeof(Entry);

  /// kExtra planes above the permuted ones select among 2^kExtra pairs of registers, the first at entries_[first].
  template <int kExtra>
  SIGNCCL_WORD_OP __m512i select(size_t first, __m512i indices, const Word* words, size_t shift) const {
    if constexpr (kExtra == 0) {
      return Lanes<Entry>::permute(_mm512_load_si512(entries_ + first), indices,
                                   _mm512_load_si512(entries_ + first + kLanes));
    } else {
      constexpr size_t kHalf = kLanes << kExtra;
      const __m512i low = select<kExtra - 1>(first, indices, words, shift);
      const __m512i high = select<kExtra - 1>(first + kHalf, indices, words, shift);
      return Lanes<Entry>::blend(words[kPermutePlanes + kExtra - 1] >> shift, low, high);
    }
  }

  template <int kExtra, bool kStream>
  SIGNCCL_WORD_OP void lookupBlock(const Word* words, const uint8_t* indices, unsigned char* out) const {
    for (size_t e = 0; e < kWordBits; e += kLanes) {
      const __m512i found = select<kExtra>(0, Lanes<Entry>::widen(indices + e), words, e);
      if constexpr (sizeof(Bits) == sizeof(Entry)) {
        put<kStream>(out + e * sizeof(Bits), found);
      } else {
        putHalf<kStream>(out + e, _mm512_cvtepi16_epi8(found));
      }
    }
  }

  alignas(64) Entry entries_[size_t{1} << kMaxPlanes] = {};
};

/// Entries of a byte in registers. The four lowest planes select among 16 entries by one shuffle, the next two between
/// halves. With more planes, for more than 63 votes, bytes go the way of 16-bit entries.
class ByteTable {
 public:
  static constexpr int kMaxPlanes = RegisterTable<uint8_t>::kMaxPlanes;

  ByteTable(const void* table, int nplanes) : wide_(table, nplanes) {
    __builtin_memcpy(entries_, table, size_t{1} << (nplanes < kNarrowPlanes ? nplanes : kNarrowPlanes));
  }

  template <bool kStream>
  SIGNCCL_WORD_OP void lookup(const Word* words, int nplanes, unsigned char* out) const {
    if (nplanes > kNarrowPlanes) return wide_.template lookup<kStream>(words, nplanes, out);
    const __m512i indices = packedBytes(words, nplanes < kShufflePlanes ? nplanes : kShufflePlanes);
    switch (nplanes - kShufflePlanes) {
      case 1:
        return put<kStream>(out, select<1>(0, indices, words));
      case 2:
        return put<kStream>(out, select<2>(0, indices, words));
      default:
        return put<kStream>(out, select<0>(0, indices, words));
    }
  }

 private:
  static constexpr int kShufflePlanes = 4;
  static constexpr int kNarrowPlanes = kShufflePlanes + 2;

  /// kExtra planes above the shuffled ones select among 2^kExtra times 16 entries, the first at entries_[first].
  template <int kExtra>
  SIGNCCL_WORD_OP __m512i select(size_t first, __m512i indices, const Word* words) const {
    if constexpr (kExtra == 0) {
      const auto* entries = reinterpret_cast<const __m128i*>(entries_ + first);
      return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_load_si128(entries)), indices);
    } else {
      const __m512i low = select<kExtra - 1>(first, indices, words);
      const __m512i high = select<kExtra - 1>(first + (size_t{8} << kExtra), indices, words);
      return Lanes<uint8_t>::blend(words[kShufflePlanes + kExtra - 1], low, high);
    }
  }

  alignas(64) uint8_t entries_[size_t{1} << kNarrowPlanes] = {};
  RegisterTable<uint8_t> wide_;
};

template <typename Bits>
struct TableOf {
  using Type = RegisterTable<Bits>;
};
template <>
struct TableOf<uint8_t> {
  using Type = ByteTable;
};

/// The sign test of kElements elements. Masks are joined in mask registers: GCC 12 extends them wrongly to 64 bits
/// where it runs out of registers (it stores 32 bits and loads 64).
template <size_t kElements, typename Bits>
SIGNCCL_WORD_OP auto testElements(const unsigned char* elements, __m512i add, __m512i limit) {
  if constexpr (kElements * sizeof(Bits) == 64) {
    return Lanes<Bits>::less(Lanes<Bits>::add(_mm512_loadu_si512(elements), add), limit);
  } else {
    const auto low = testElements<kElements / 2, Bits>(elements, add, limit);
    const auto high = testElements<kElements / 2, Bits>(elements + kElements / 2 * sizeof(Bits), add, limit);
    if constexpr (kElements == 16) {
      return _mm512_kunpackb(high, low);
    } else if constexpr (kElements == 32) {
      return _mm512_kunpackw(high, low);
    } else {
      return _mm512_kunpackd(high, low);
    }
  }
}

struct Avx512 {
  using Vec = Avx512Word;
  using Floats = Avx512Floats;
  static constexpr size_t kOutputAlignment = 64;
  static constexpr bool kCanStream = true;
  SIGNCCL_WORD_OP static void fence() { _mm_sfence(); }

  template <typename Bits>
  SIGNCCL_WORD_OP static Word test(const unsigned char* elements, SignTest<Bits> test) {
    return testElements<kWordBits, Bits>(elements, Lanes<Bits>::fill(test.add), Lanes<Bits>::fill(test.limit));
  }

  template <typename Bits>
  SIGNCCL_WORD_OP static Word testFirst(const unsigned char* elements, size_t count, SignTest<Bits> test) {
    constexpr size_t kLanes = 64 / sizeof(Bits);
    Word result = 0;
    for (size_t e = 0; e < count; e += kLanes) {
      const __m512i v = Lanes<Bits>::load(lowBits(count) >> e, elements + e * sizeof(Bits));
      const auto tested =
          Lanes<Bits>::less(Lanes<Bits>::add(v, Lanes<Bits>::fill(test.add)), Lanes<Bits>::fill(test.limit));
      result |= Word{tested} << e;
    }
    return result;
  }

  template <bool kZeros, bool kStream, typename Bits>
  SIGNCCL_WORD_OP static void expand(Word plus, Word zero, SignValues<Bits> signs, unsigned char* out) {
    constexpr size_t kLanes = 64 / sizeof(Bits);
    const __m512i plus_one = Lanes<Bits>::fill(signs.plus);
    const __m512i minus_one = Lanes<Bits>::fill(signs.minus);
    for (size_t e = 0; e < kWordBits; e += kLanes) {
      __m512i v = Lanes<Bits>::blend(plus >> e, minus_one, plus_one);
      if constexpr (kZeros) v = Lanes<Bits>::keep(~zero >> e, v);
      put<kStream>(out + e * sizeof(Bits), v);
    }
  }

  template <typename Bits>
  using Table = typename TableOf<Bits>::Type;

  SIGNCCL_WORD_OP static void packBytes(const Word* words, int nplanes, uint8_t* bytes) {
    _mm512_storeu_si512(bytes, packedBytes(words, nplanes));
  }

  template <bool kStream, size_t kBytes>
  SIGNCCL_WORD_OP static void copyBlock(const unsigned char* from, unsigned char* out) {
    for (size_t i = 0; i < kBytes; i += 64) put<kStream>(out + i, _mm512_load_si512(from + i));
  }
};

}  // namespace

constinit const Kernels kAvx512Kernels = makeKernels<Avx512>("avx512", avx512Supported);

}  // namespace signccl
