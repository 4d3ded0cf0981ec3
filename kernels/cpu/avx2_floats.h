// SPDX-License-Identifier: Apache-2.0
// Eight floats in a register of AVX2, for the kernels of a Lion step. float16 is converted by F16C.
#ifndef SIGNCCL_KERNELS_CPU_AVX2_FLOATS_H_
#define SIGNCCL_KERNELS_CPU_AVX2_FLOATS_H_

#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/word_ops.h"

namespace signccl {
namespace {

struct Avx2Floats {
  static constexpr size_t kLanes = 8;
  using Mask = __m256i;
  __m256 v;

  SIGNCCL_WORD_OP static Avx2Floats fill(float x) { return {_mm256_set1_ps(x)}; }

  template <FloatType kType>
  SIGNCCL_WORD_OP static Avx2Floats load(const unsigned char* p) {
    if constexpr (kType == FloatType::kFloat32) {
      __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
      // GCC would read memory again for every operation, which costs twice as much where numbers lie across two lines.
      asm("" : "+x"(v));
      return {_mm256_castsi256_ps(v)};
    } else if constexpr (kType == FloatType::kFloat16) {
      return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
    } else {
      return {_mm256_castsi256_ps(_mm256_slli_epi32(widen(p), 16))};
    }
  }

  SIGNCCL_WORD_OP static Avx2Floats loadAligned(const unsigned char* p) { return load<FloatType::kFloat32>(p); }

  template <FloatType kType>
  SIGNCCL_WORD_OP void store(unsigned char* p) const {
    if constexpr (kType == FloatType::kFloat32) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_castps_si256(withQuietNan()));
    } else if constexpr (kType == FloatType::kFloat16) {
      storeHalf(p, _mm256_cvtps_ph(withQuietNan(), _MM_FROUND_TO_NEAREST_INT));
    } else {
      const __m256i lowest_kept = _mm256_and_si256(_mm256_srli_epi32(bits(), 16), _mm256_set1_epi32(1));
      storeCut(p, _mm256_add_epi32(lowest_kept, _mm256_set1_epi32(0x7FFF)));
    }
  }

  SIGNCCL_WORD_OP void storeStochastic(unsigned char* p, const Word* random) const {
    storeCut(p, widen(reinterpret_cast<const unsigned char*>(random)));
  }

  SIGNCCL_WORD_OP friend Avx2Floats operator+(Avx2Floats a, Avx2Floats b) { return {_mm256_add_ps(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend Avx2Floats operator-(Avx2Floats a, Avx2Floats b) { return {_mm256_sub_ps(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend Avx2Floats operator*(Avx2Floats a, Avx2Floats b) { return {_mm256_mul_ps(a.v, b.v)}; }

  SIGNCCL_WORD_OP Mask isNegative() const {
    return _mm256_castps_si256(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_LT_OQ));
  }
  SIGNCCL_WORD_OP Mask isPositive() const {
    return _mm256_castps_si256(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_GT_OQ));
  }
  SIGNCCL_WORD_OP static Word gather(const Mask* masks) {
    return Word{gatherHalf(masks)} | Word{gatherHalf(masks + 4)} << 32;
  }

 private:
  /// Packing works inside halves of registers: put the eights in order afterwards.
  SIGNCCL_WORD_OP static uint32_t gatherHalf(const Mask* masks) {
    const __m256i packed =
        _mm256_packs_epi16(_mm256_packs_epi32(masks[0], masks[1]), _mm256_packs_epi32(masks[2], masks[3]));
    const __m256i bytes = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    return static_cast<uint32_t>(_mm256_movemask_epi8(bytes));
  }
  /// Eight integers of 16 bits, in 32 bits each.
  SIGNCCL_WORD_OP static __m256i widen(const unsigned char* p) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  SIGNCCL_WORD_OP static void storeHalf(unsigned char* p, __m128i half) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), half);
  }
  SIGNCCL_WORD_OP __m256i bits() const { return _mm256_castps_si256(v); }
  SIGNCCL_WORD_OP __m256 isNan() const { return _mm256_cmp_ps(v, v, _CMP_UNORD_Q); }
  SIGNCCL_WORD_OP __m256 withQuietNan() const {
    return _mm256_blendv_ps(v, _mm256_castsi256_ps(_mm256_set1_epi32(0x7FC0'0000)), isNan());
  }

  /// bfloat16: the upper halves of the bits after an addition, or NaN.
  SIGNCCL_WORD_OP void storeCut(unsigned char* p, __m256i add) const {
    const __m256i kept = _mm256_srli_epi32(_mm256_add_epi32(bits(), add), 16);
    const __m256i value = _mm256_blendv_epi8(kept, _mm256_set1_epi32(0x7FC0), _mm256_castps_si256(isNan()));
    storeHalf(p, _mm_packus_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1)));
  }
};

}  // namespace
}  // namespace signccl

#endif  // SIGNCCL_KERNELS_CPU_AVX2_FLOATS_H_
