// SPDX-License-Identifier: Apache-2.0
// Sixteen floats in a register of AVX-512, for the kernels of a Lion step.
#ifndef SIGNCCL_KERNELS_CPU_AVX512_FLOATS_H_
#define SIGNCCL_KERNELS_CPU_AVX512_FLOATS_H_

#include "kernels/cpu/avx512_intrinsics.h"
#include "kernels/kernels.h"
#include "kernels/word_ops.h"

namespace signccl {
namespace {

struct Avx512Floats {
  static constexpr size_t kLanes = 16;
  using Mask = __mmask16;
  __m512 v;

  SIGNCCL_WORD_OP static Avx512Floats fill(float x) { return {_mm512_set1_ps(x)}; }

  template <FloatType kType>
  SIGNCCL_WORD_OP static Avx512Floats load(const unsigned char* p) {
    if constexpr (kType == FloatType::kFloat32) {
      // In halves: whole vectors that are not aligned lie across two lines every time, which costs a tenth of the
      // memory's speed, and GCC would read them again for every operation.
      const __m512i low = _mm512_castsi256_si512(loadHalf(p));
      return {_mm512_castsi512_ps(_mm512_inserti64x4(low, loadHalf(p + 32), 1))};
    } else if constexpr (kType == FloatType::kFloat16) {
      return {_mm512_cvtph_ps(loadHalf(p))};
    } else {
      return {_mm512_castsi512_ps(_mm512_slli_epi32(widen(p), 16))};
    }
  }

  SIGNCCL_WORD_OP static Avx512Floats loadAligned(const unsigned char* p) { return {_mm512_load_ps(p)}; }

  template <FloatType kType>
  SIGNCCL_WORD_OP void store(unsigned char* p) const {
    if constexpr (kType == FloatType::kFloat32) {
      _mm512_storeu_ps(p, withQuietNan());
    } else if constexpr (kType == FloatType::kFloat16) {
      storeHalf(p, _mm512_cvtps_ph(withQuietNan(), _MM_FROUND_TO_NEAREST_INT));
    } else {
      const __m512i lowest_kept = _mm512_and_si512(_mm512_srli_epi32(bits(), 16), _mm512_set1_epi32(1));
      storeCut(p, _mm512_add_epi32(lowest_kept, _mm512_set1_epi32(0x7FFF)));
    }
  }

  SIGNCCL_WORD_OP void storeStochastic(unsigned char* p, const Word* random) const {
    storeCut(p, widen(reinterpret_cast<const unsigned char*>(random)));
  }

  SIGNCCL_WORD_OP friend Avx512Floats operator+(Avx512Floats a, Avx512Floats b) { return {_mm512_add_ps(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend Avx512Floats operator-(Avx512Floats a, Avx512Floats b) { return {_mm512_sub_ps(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend Avx512Floats operator*(Avx512Floats a, Avx512Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }

  SIGNCCL_WORD_OP Mask isNegative() const { return _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_LT_OQ); }
  SIGNCCL_WORD_OP Mask isPositive() const { return _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GT_OQ); }
  SIGNCCL_WORD_OP static Word gather(const Mask* masks) {
    const __mmask32 low = _mm512_kunpackw(masks[1], masks[0]);
    const __mmask32 high = _mm512_kunpackw(masks[3], masks[2]);
    return _mm512_kunpackd(high, low);
  }

 private:
  /// 16 integers of 16 bits, in 32 bits each.
  SIGNCCL_WORD_OP static __m512i widen(const unsigned char* p) { return _mm512_cvtepu16_epi32(loadHalf(p)); }
  SIGNCCL_WORD_OP static __m256i loadHalf(const unsigned char* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  SIGNCCL_WORD_OP static void storeHalf(unsigned char* p, __m256i half) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), half);
  }
  SIGNCCL_WORD_OP __m512i bits() const { return _mm512_castps_si512(v); }
  SIGNCCL_WORD_OP __mmask16 isNan() const { return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q); }
  SIGNCCL_WORD_OP __m512 withQuietNan() const {
    return _mm512_mask_blend_ps(isNan(), v, _mm512_castsi512_ps(_mm512_set1_epi32(0x7FC0'0000)));
  }

  /// bfloat16: the upper halves of the bits after an addition, or NaN.
  SIGNCCL_WORD_OP void storeCut(unsigned char* p, __m512i add) const {
    const __m512i kept = _mm512_srli_epi32(_mm512_add_epi32(bits(), add), 16);
    storeHalf(p, _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(isNan(), kept, _mm512_set1_epi32(0x7FC0))));
  }
};

}  // namespace
}  // namespace signccl

#endif  // SIGNCCL_KERNELS_CPU_AVX512_FLOATS_H_
