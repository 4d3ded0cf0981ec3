// SPDX-License-Identifier: Apache-2.0
// IEEE 754 formats described by their field widths: the plain arithmetic with which results are checked. Shares no code
// with the library, so that a fault of its conversions shows.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_FLOAT_FORMAT_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_FLOAT_FORMAT_H_

#include <cstdint>

namespace signccl::perf {

struct FloatFormat {
  int exponent_bits;
  int mantissa_bits;

  [[nodiscard]] int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  [[nodiscard]] std::uint64_t mantissaMask() const { return (std::uint64_t{1} << mantissa_bits) - 1; }
  [[nodiscard]] std::uint64_t exponentMask() const { return (std::uint64_t{1} << exponent_bits) - 1; }
  [[nodiscard]] std::uint64_t pack(bool negative, std::uint64_t exponent, std::uint64_t mantissa) const {
    return (std::uint64_t{negative} << (exponent_bits + mantissa_bits)) | (exponent << mantissa_bits) | mantissa;
  }
};

inline constexpr FloatFormat kHalf{5, 10};
inline constexpr FloatFormat kBfloat16{8, 7};
inline constexpr FloatFormat kFloat{8, 23};
inline constexpr FloatFormat kDouble{11, 52};

/// The value of a bit pattern; exact, because double holds every value of every format.
double decode(const FloatFormat& format, std::uint64_t bits);

/// The bit pattern of the value nearest to `value`, ties to even, subnormals included. |value| must be less than the
/// format's largest value; NaN and infinity are not encoded.
std::uint64_t encode(const FloatFormat& format, double value);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_FLOAT_FORMAT_H_
