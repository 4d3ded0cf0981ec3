// SPDX-License-Identifier: Apache-2.0
// float16 on the host as a GPU converts it, by arithmetic on bits.
#ifndef SIGNCCL_KERNELS_LANES_HOST_FLOAT16_H_
#define SIGNCCL_KERNELS_LANES_HOST_FLOAT16_H_

#include <cstdint>
#include <cstring>

namespace signccl::lanes {

// The exponents have the biases 15 and 127, the fractions 10 and 23 bits.
inline constexpr uint32_t kFloat16Rebias = (127 - 15) << 23;

inline float widenFloat16(uint16_t pattern) {
  const uint32_t sign = (pattern & 0x8000U) << 16;
  const uint32_t magnitude = pattern & 0x7FFFU;
  uint32_t bits = (magnitude << 13) + kFloat16Rebias;
  if (magnitude >= 0x7C00) bits += kFloat16Rebias;
  float x;
  if (magnitude < 0x0400) {
    x = static_cast<float>(magnitude) * 0x1p-24F;
    std::memcpy(&bits, &x, sizeof(bits));
  }
  bits |= sign;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}

/// To nearest, ties to even.
inline uint32_t narrowToFloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7FFF'FFFF;
  if (magnitude > 255U << 23) return 0x7E00;          // NaN, without sign and payload
  if (magnitude >= 143U << 23) return sign | 0x7C00;  // 65536 and more, which includes infinity
  if (magnitude >= 113U << 23) {  // 2^-14 and more: a carry may lead to the next exponent, or infinity
    return sign | (magnitude - kFloat16Rebias + 0x0FFF + (magnitude >> 13 & 1)) >> 13;
  }
  if (magnitude < 102U << 23) return sign;  // less than half of the smallest denormal
  // A fraction with its implicit bit, shifted to units of 2^-24.
  const uint32_t fraction = (magnitude & 0x7F'FFFF) | 0x80'0000;
  const uint32_t shift = 126 - (magnitude >> 23);
  const uint32_t units = fraction >> shift;
  const uint32_t rest = fraction & ((uint32_t{1} << shift) - 1);
  const uint32_t half = uint32_t{1} << (shift - 1);
  return sign | (units + (rest > half || (rest == half && (units & 1) != 0) ? 1 : 0));
}

}  // namespace signccl::lanes

#endif  // SIGNCCL_KERNELS_LANES_HOST_FLOAT16_H_
