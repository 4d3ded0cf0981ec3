// SPDX-License-Identifier: Apache-2.0
#include "support/float_format.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"

namespace signccl {

FloatFormat formatOf(ElementType type) {
  switch (type) {
    case ElementType::kFloat16:
      return kFloat16Format;
    case ElementType::kBFloat16:
      return kBFloat16Format;
    case ElementType::kFloat32:
      return kFloat32Format;
    case ElementType::kFloat64:
      return kFloat64Format;
    default:
      throwInternal("not a floating-point type", __FILE__, __LINE__);
  }
}

std::uint64_t roundedQuotient(std::int64_t numerator, std::int64_t denominator, FloatFormat format) {
  using Wide = unsigned __int128;
  SIGNCCL_ASSERT(denominator > 0 && denominator < (std::int64_t{1} << 31) && std::abs(numerator) <= denominator);
  if (numerator == 0) return 0;
  const Wide magnitude = static_cast<Wide>(std::abs(numerator));
  const Wide divisor = static_cast<Wide>(denominator);

  int scale = 0;  // the quotient is in [2^-scale, 2^(1 - scale)), or below if it is subnormal
  while (scale < format.bias() - 1 && (magnitude << scale) < divisor) ++scale;
  const Wide dividend = magnitude << (scale + format.fraction_bits);
  Wide units = dividend / divisor;
  const Wide twice_rest = 2 * (dividend % divisor);
  if (twice_rest > divisor || (twice_rest == divisor && units % 2 == 1)) ++units;

  // The units of a normal number include the implicit bit, which is worth one in the exponent field.
  const auto stored_exponent = static_cast<std::uint64_t>(format.bias() - scale - 1);
  const std::uint64_t sign = numerator < 0 ? std::uint64_t{1} << (format.bits() - 1) : 0;
  return sign | ((stored_exponent << format.fraction_bits) + static_cast<std::uint64_t>(units));
}

int signOfPattern(std::uint64_t pattern, FloatFormat format) {
  const std::uint64_t sign = std::uint64_t{1} << (format.bits() - 1);
  const std::uint64_t magnitude = pattern & (sign - 1);
  const std::uint64_t infinity = ((std::uint64_t{1} << format.exponent_bits) - 1) << format.fraction_bits;
  if (magnitude == 0 || magnitude > infinity) return 0;
  return (pattern & sign) != 0 ? -1 : 1;
}

}  // namespace signccl
