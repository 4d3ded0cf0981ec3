// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/float_format.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace signccl::perf {

double decode(const FloatFormat& format, std::uint64_t bits) {
  const std::uint64_t mantissa = bits & format.mantissaMask();
  const std::uint64_t exponent = (bits >> format.mantissa_bits) & format.exponentMask();
  const bool negative = ((bits >> (format.mantissa_bits + format.exponent_bits)) & 1) != 0;
  double magnitude = 0;
  if (exponent == format.exponentMask()) {
    magnitude = mantissa == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<double>(mantissa), 1 - format.bias() - format.mantissa_bits);
  } else {
    const std::uint64_t significand = mantissa | (std::uint64_t{1} << format.mantissa_bits);
    magnitude =
        std::ldexp(static_cast<double>(significand), static_cast<int>(exponent) - format.bias() - format.mantissa_bits);
  }
  return negative ? -magnitude : magnitude;
}

std::uint64_t encode(const FloatFormat& format, double value) {
  const double magnitude = std::abs(value);
  if (magnitude == 0) return format.pack(std::signbit(value), 0, 0);
  const int lowest = 1 - format.bias();
  const int exponent = std::max(std::ilogb(magnitude), lowest);
  // In units of the last place; nearbyint rounds ties to even in the default mode.
  const auto significand =
      static_cast<std::uint64_t>(std::nearbyint(std::ldexp(magnitude, format.mantissa_bits - exponent)));
  // A significand below 2^mantissa_bits is subnormal; one that was rounded up to twice as much carries into the
  // exponent.
  const auto biased = static_cast<std::uint64_t>(exponent - lowest);
  return format.pack(std::signbit(value), 0, (biased << format.mantissa_bits) + significand);
}

}  // namespace signccl::perf
