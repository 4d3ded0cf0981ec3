// SPDX-License-Identifier: Apache-2.0
// Four floats in the vectors that GCC and Clang have for every machine, for the kernels of a Lion step. Narrow types
// are converted by arithmetic on their bits.
#ifndef SIGNCCL_KERNELS_CPU_SCALAR_FLOATS_H_
#define SIGNCCL_KERNELS_CPU_SCALAR_FLOATS_H_

#include "kernels/kernels.h"
#include "kernels/word_ops.h"

namespace signccl {
namespace {

struct FourFloats {
  static constexpr size_t kLanes = 4;
  using Vector = float __attribute__((vector_size(16)));
  using Bits = uint32_t __attribute__((vector_size(16)));
  using Ints = int32_t __attribute__((vector_size(16)));
  using Halves = uint16_t __attribute__((vector_size(8)));
  using Mask = Bits;
  Vector v;

  SIGNCCL_WORD_OP static FourFloats fill(float x) { return {Vector{x, x, x, x}}; }

  template <FloatType kType>
  SIGNCCL_WORD_OP static FourFloats load(const unsigned char* p) {
    if constexpr (kType == FloatType::kFloat32) {
      Vector v;
      __builtin_memcpy(&v, p, sizeof(v));
      return {v};
    } else {
      Halves halves;
      __builtin_memcpy(&halves, p, sizeof(halves));
      const Bits bits = __builtin_convertvector(halves, Bits);
      if constexpr (kType == FloatType::kFloat16) {
        return {widenFloat16(bits)};
      } else {
        return {reinterpret_cast<Vector>(bits << 16)};
      }
    }
  }

  SIGNCCL_WORD_OP static FourFloats loadAligned(const unsigned char* p) { return load<FloatType::kFloat32>(p); }

  template <FloatType kType>
  SIGNCCL_WORD_OP void store(unsigned char* p) const {
    const auto bits = reinterpret_cast<Bits>(v);
    if constexpr (kType == FloatType::kFloat32) {
      const Bits value = orNan(bits, 0x7FC0'0000);
      __builtin_memcpy(p, &value, sizeof(value));
    } else if constexpr (kType == FloatType::kFloat16) {
      storeHalves(p, orNan(narrowToFloat16(bits), 0x7E00));
    } else {
      storeCut(p, bits + 0x7FFF + ((bits >> 16) & 1));
    }
  }

  SIGNCCL_WORD_OP void storeStochastic(unsigned char* p, const Word* random) const {
    const auto bits16 = [=](int k) { return static_cast<uint32_t>(*random >> (16 * k)) & 0xFFFF; };
    storeCut(p, reinterpret_cast<Bits>(v) + Bits{bits16(0), bits16(1), bits16(2), bits16(3)});
  }

  SIGNCCL_WORD_OP friend FourFloats operator+(FourFloats a, FourFloats b) { return {a.v + b.v}; }
  SIGNCCL_WORD_OP friend FourFloats operator-(FourFloats a, FourFloats b) { return {a.v - b.v}; }
  SIGNCCL_WORD_OP friend FourFloats operator*(FourFloats a, FourFloats b) { return {a.v * b.v}; }

  SIGNCCL_WORD_OP Mask isNegative() const { return reinterpret_cast<Bits>(v < fill(0).v); }
  SIGNCCL_WORD_OP Mask isPositive() const { return reinterpret_cast<Bits>(v > fill(0).v); }
  SIGNCCL_WORD_OP static Word gather(const Mask* masks) {
    Word word = 0;
    for (size_t k = 0; k < kWordBits / kLanes; ++k) {
      const Bits bits = masks[k] & Bits{1, 2, 4, 8};
      word |= Word{bits[0] | bits[1] | bits[2] | bits[3]} << (k * kLanes);
    }
    return word;
  }

 private:
  /// `set` where the mask is all ones, `clear` where it is 0.
  SIGNCCL_WORD_OP static Bits select(Bits mask, Bits set, Bits clear) { return (mask & set) | (~mask & clear); }

  /// All ones where a number below 2^31 is below the limit. SSE2 compares signed numbers only.
  SIGNCCL_WORD_OP static Bits below(Bits numbers, int32_t limit) {
    return reinterpret_cast<Bits>(reinterpret_cast<Ints>(numbers) < limit);
  }

  /// float16, in 32 bits each, with the exponents' biases 15 and 127. A denormal is what its fraction adds to 2^-14.
  SIGNCCL_WORD_OP static Vector widenFloat16(Bits halves) {
    constexpr uint32_t kRebias = (127 - 15) << 23;
    constexpr uint32_t kSmallestNormal = (127 - 14) << 23;
    const Bits sign = (halves & 0x8000) << 16;
    const Bits magnitude = halves & 0x7FFF;
    const Bits normal = (magnitude << 13) + kRebias;
    const Bits infinite = normal + kRebias;
    const Vector beyond = reinterpret_cast<Vector>((magnitude << 13) + kSmallestNormal);
    const auto denormal = reinterpret_cast<Bits>(beyond - reinterpret_cast<Vector>(Bits{} + kSmallestNormal));
    const Bits finite = select(below(magnitude, 0x0400), denormal, normal);
    return reinterpret_cast<Vector>(sign | select(below(magnitude, 0x7C00), finite, infinite));
  }

  /// To nearest, ties to even; what NaN becomes means nothing. From 65520 on a carry leads to infinity. A denormal
  /// float16 has the unit 2^-24, as float32 has it between 1/2 and 1: adding 1/2 rounds.
  SIGNCCL_WORD_OP static Bits narrowToFloat16(Bits bits) {
    constexpr uint32_t kRebias = (127 - 15) << 23;
    constexpr uint32_t kSmallestNormal = (127 - 14) << 23;
    constexpr uint32_t kTooLarge = (127 + 16) << 23;
    const Bits sign = (bits >> 16) & 0x8000;
    const Bits unlimited = bits & 0x7FFF'FFFF;
    const Bits magnitude = select(below(unlimited, kTooLarge), unlimited, Bits{} + kTooLarge);
    const Bits normal = (magnitude - kRebias + 0x0FFF + ((magnitude >> 13) & 1)) >> 13;
    const Vector half = fill(0.5F).v;
    const Bits denormal =
        reinterpret_cast<Bits>(reinterpret_cast<Vector>(magnitude) + half) - reinterpret_cast<Bits>(half);
    return sign | select(below(magnitude, kSmallestNormal), denormal, normal);
  }

  /// `value`, or `nan` where the float is not a number.
  SIGNCCL_WORD_OP Bits orNan(Bits value, uint32_t nan) const {
    return select(reinterpret_cast<Bits>(v == v), value, Bits{} + nan);
  }

  /// bfloat16: the upper halves of `sums`, which are the bits after an addition, or NaN.
  SIGNCCL_WORD_OP void storeCut(unsigned char* p, Bits sums) const { storeHalves(p, orNan(sums >> 16, 0x7FC0)); }
  SIGNCCL_WORD_OP static void storeHalves(unsigned char* p, Bits low_halves) {
    const Halves halves = __builtin_convertvector(low_halves, Halves);
    __builtin_memcpy(p, &halves, sizeof(halves));
  }
};

}  // namespace
}  // namespace signccl

#endif  // SIGNCCL_KERNELS_CPU_SCALAR_FLOATS_H_
