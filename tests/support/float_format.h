// SPDX-License-Identifier: Apache-2.0
// Binary floating-point formats as integers: fractions rounded by long division, without any floating-point arithmetic.
#ifndef SIGNCCL_TESTS_SUPPORT_FLOAT_FORMAT_H_
#define SIGNCCL_TESTS_SUPPORT_FLOAT_FORMAT_H_

#include <cstdint>

#include "kernels/kernels.h"

namespace signccl {

/// An IEEE 754 interchange format: a sign bit, `exponent_bits`, `fraction_bits`.
struct FloatFormat {
  int exponent_bits = 0;
  int fraction_bits = 0;

  [[nodiscard]] constexpr int bits() const { return 1 + exponent_bits + fraction_bits; }
  [[nodiscard]] constexpr int bias() const { return (1 << (exponent_bits - 1)) - 1; }
};

inline constexpr FloatFormat kFloat16Format{5, 10};
inline constexpr FloatFormat kBFloat16Format{8, 7};
inline constexpr FloatFormat kFloat32Format{8, 23};
inline constexpr FloatFormat kFloat64Format{11, 52};

/// Of a floating-point element type.
FloatFormat formatOf(ElementType type);

/// Bit pattern of numerator / denominator, rounded to nearest, ties to even. |numerator| <= denominator < 2^31.
std::uint64_t roundedQuotient(std::int64_t numerator, std::int64_t denominator, FloatFormat format);

/// Sign of the number with that bit pattern; 0 for zeros and NaNs.
int signOfPattern(std::uint64_t pattern, FloatFormat format);

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_FLOAT_FORMAT_H_
