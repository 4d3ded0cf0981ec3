// SPDX-License-Identifier: Apache-2.0
// Element types as bit patterns. Signs are decided on integers, so that no setting of the floating-point unit, such as
// denormals-are-zero, can change a result.
#ifndef SIGNCCL_KERNELS_FORMATS_H_
#define SIGNCCL_KERNELS_FORMATS_H_

#include <stdint.h>

namespace signccl {

/// The test signed(element + add) < signed(limit), all in the element's width.
template <typename B>
struct SignTest {
  B add;
  B limit;
};

/// How a vote of -1 and of +1 look in the element's width; 0 is all bits zero in every format.
template <typename B>
struct SignValues {
  B plus;
  B minus;
};

/// An IEEE format of the width of B. Negative numbers are the patterns from sign bit + 1 (the smallest denormal) to
/// minus infinity; taking 1 off moves minus zero out of the negative integers and leaves NaNs above minus infinity.
/// Positive numbers are the same after the sign bit is flipped, which is one addition together with the - 1.
template <typename B, B kMinusInfinity, B kOne>
struct FloatFormat {
  using Bits = B;
  static constexpr B kSignBit = static_cast<B>(B{1} << (8 * sizeof(B) - 1));
  static constexpr SignTest<B> kNegative{static_cast<B>(-1), kMinusInfinity};
  static constexpr SignTest<B> kPositive{static_cast<B>(kSignBit - 1), kMinusInfinity};
  static constexpr SignValues<B> kSigns{kOne, static_cast<B>(kOne | kSignBit)};
};

using Float64Format = FloatFormat<uint64_t, 0xFFF0'0000'0000'0000, 0x3FF0'0000'0000'0000>;
using Float32Format = FloatFormat<uint32_t, 0xFF80'0000, 0x3F80'0000>;
using Float16Format = FloatFormat<uint16_t, 0xFC00, 0x3C00>;
using BFloat16Format = FloatFormat<uint16_t, 0xFF80, 0x3F80>;

struct Int8Format {
  using Bits = uint8_t;
  static constexpr SignTest<uint8_t> kNegative{0, 0};
  static constexpr SignTest<uint8_t> kPositive{0x7F, 0xFF};  // 1 to 127 wrap around to below -1
  static constexpr SignValues<uint8_t> kSigns{1, 0xFF};
};

}  // namespace signccl

#endif  // SIGNCCL_KERNELS_FORMATS_H_
