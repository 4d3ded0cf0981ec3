// SPDX-License-Identifier: Apache-2.0
// Four floats in a register of Advanced SIMD, for the kernels of a Lion step. Buffers are loaded as bytes, which need
// no alignment.
#ifndef SIGNCCL_KERNELS_CPU_NEON_FLOATS_H_
#define SIGNCCL_KERNELS_CPU_NEON_FLOATS_H_

#include <arm_neon.h>

#include "kernels/kernels.h"
#include "kernels/word_ops.h"

namespace signccl {
namespace {

struct NeonFloats {
  static constexpr size_t kLanes = 4;
  using Mask = uint32x4_t;
  float32x4_t v;

  SIGNCCL_WORD_OP static NeonFloats fill(float x) { return {vdupq_n_f32(x)}; }

  template <FloatType kType>
  SIGNCCL_WORD_OP static NeonFloats load(const unsigned char* p) {
    if constexpr (kType == FloatType::kFloat32) {
      return {vreinterpretq_f32_u8(vld1q_u8(p))};
    } else if constexpr (kType == FloatType::kFloat16) {
      return {vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)))};
    } else {
      return {vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16))};
    }
  }

  SIGNCCL_WORD_OP static NeonFloats loadAligned(const unsigned char* p) { return load<FloatType::kFloat32>(p); }

  template <FloatType kType>
  SIGNCCL_WORD_OP void store(unsigned char* p) const {
    if constexpr (kType == FloatType::kFloat32) {
      vst1q_u8(p, vreinterpretq_u8_f32(withQuietNan()));
    } else if constexpr (kType == FloatType::kFloat16) {
      vst1_u8(p, vreinterpret_u8_f16(vcvt_f16_f32(withQuietNan())));
    } else {
      const uint32x4_t lowest_kept = vandq_u32(vshrq_n_u32(bits(), 16), vdupq_n_u32(1));
      storeCut(p, vaddq_u32(vaddq_u32(bits(), lowest_kept), vdupq_n_u32(0x7FFF)));
    }
  }

  SIGNCCL_WORD_OP void storeStochastic(unsigned char* p, const Word* random) const {
    storeCut(p, vaddw_u16(bits(), vreinterpret_u16_u64(vld1_u64(random))));
  }

  SIGNCCL_WORD_OP friend NeonFloats operator+(NeonFloats a, NeonFloats b) { return {vaddq_f32(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend NeonFloats operator-(NeonFloats a, NeonFloats b) { return {vsubq_f32(a.v, b.v)}; }
  SIGNCCL_WORD_OP friend NeonFloats operator*(NeonFloats a, NeonFloats b) { return {vmulq_f32(a.v, b.v)}; }

  SIGNCCL_WORD_OP Mask isNegative() const { return vcltzq_f32(v); }
  SIGNCCL_WORD_OP Mask isPositive() const { return vcgtzq_f32(v); }
  SIGNCCL_WORD_OP static Word gather(const Mask* masks) {
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040'2010'0804'0201));
    const auto sixteen = [=](const Mask* four) {
      const uint16x8_t low = vuzp1q_u16(vreinterpretq_u16_u32(four[0]), vreinterpretq_u16_u32(four[1]));
      const uint16x8_t high = vuzp1q_u16(vreinterpretq_u16_u32(four[2]), vreinterpretq_u16_u32(four[3]));
      return vandq_u8(vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high)), bit);
    };
    // Three sums of neighbours bring the eight bits of each byte of the result together.
    const uint8x16_t low = vpaddq_u8(sixteen(masks), sixteen(masks + 4));
    const uint8x16_t high = vpaddq_u8(sixteen(masks + 8), sixteen(masks + 12));
    const uint8x16_t quarters = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(quarters, quarters)), 0);
  }

 private:
  SIGNCCL_WORD_OP uint32x4_t bits() const { return vreinterpretq_u32_f32(v); }
  SIGNCCL_WORD_OP uint32x4_t isNumber() const { return vceqq_f32(v, v); }
  SIGNCCL_WORD_OP float32x4_t withQuietNan() const {
    return vbslq_f32(isNumber(), v, vreinterpretq_f32_u32(vdupq_n_u32(0x7FC0'0000)));
  }

  /// bfloat16: the upper halves of `sums`, which are the bits after an addition, or NaN.
  SIGNCCL_WORD_OP void storeCut(unsigned char* p, uint32x4_t sums) const {
    const uint16x4_t value = vbsl_u16(vmovn_u32(isNumber()), vshrn_n_u32(sums, 16), vdup_n_u16(0x7FC0));
    vst1_u8(p, vreinterpret_u8_u16(value));
  }
};

}  // namespace
}  // namespace signccl

#endif  // SIGNCCL_KERNELS_CPU_NEON_FLOATS_H_
