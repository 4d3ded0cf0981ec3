// SPDX-License-Identifier: Apache-2.0
#include "rules/values.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace signccl::rules {
namespace {

/// Elements that are looked at in one loop without a branch, which the compiler makes vectors of.
constexpr std::size_t kBlock = 1024;

/// An element type by its bits: those of 1, the sign bit, and the value as a double.
struct Int8 {
  using Bits = std::uint8_t;
  static bool isSign(Bits bits) { return bits == 0x01 || bits == 0xff; }
  static double value(Bits bits) { return static_cast<std::int8_t>(bits); }
};

template <typename BitsType, BitsType kOne>
struct Floating {
  using Bits = BitsType;
  static constexpr Bits kMagnitude = static_cast<Bits>(~Bits{0}) >> 1U;
  static bool isSign(Bits bits) { return static_cast<Bits>(bits & kMagnitude) == kOne; }
};

struct Float16 : Floating<std::uint16_t, 0x3c00> {
  static double value(Bits bits) {
    const int exponent = bits >> 10U & 0x1f;
    const int fraction = bits & 0x3ff;
    double magnitude = std::ldexp(exponent == 0 ? fraction : fraction + 1024, std::max(exponent, 1) - 25);
    if (exponent == 31) magnitude = fraction == 0 ? HUGE_VAL : NAN;
    return std::copysign(magnitude, (bits >> 15U) != 0 ? -1.0 : 1.0);
  }
};

struct Float32 : Floating<std::uint32_t, 0x3f800000> {
  static double value(Bits bits) { return std::bit_cast<float>(bits); }
};

struct Bfloat16 : Floating<std::uint16_t, 0x3f80> {
  static double value(Bits bits) { return Float32::value(static_cast<std::uint32_t>(bits) << 16U); }
};

struct Float64 : Floating<std::uint64_t, 0x3ff0000000000000> {
  static double value(Bits bits) { return std::bit_cast<double>(bits); }
};

template <typename Type>
typename Type::Bits bitsAt(const unsigned char* elements, std::size_t index) {
  typename Type::Bits bits;
  std::memcpy(&bits, elements + index * sizeof bits, sizeof bits);
  return bits;
}

/// What is in elements `begin` to `end`.
template <typename Type>
Values valuesOf(const unsigned char* elements, std::size_t begin, std::size_t end) {
  // As wide as an element, so that a vector holds as many of them as elements.
  using Bits = typename Type::Bits;
  Bits zeros = 0;
  Bits others = 0;
  for (std::size_t i = begin; i < end; ++i) {
    const Bits bits = bitsAt<Type>(elements, i);
    const Bits is_zero = bits == 0 ? 1 : 0;
    const Bits is_sign = Type::isSign(bits) ? 1 : 0;
    zeros |= is_zero;
    others |= static_cast<Bits>(1 ^ (is_zero | is_sign));
  }
  if (others != 0) return Values::kOther;
  return zeros != 0 ? Values::kZeros : Values::kSigns;
}

template <typename Type>
LocalValues check(const unsigned char* elements, std::size_t count) {
  LocalValues found;
  for (std::size_t begin = 0; begin < count && found.values != Values::kOther; begin += kBlock) {
    const std::size_t end = std::min(count, begin + kBlock);
    const Values values = valuesOf<Type>(elements, begin, end);
    if (values <= found.values) continue;
    found.values = values;
    for (std::size_t i = begin; i < end; ++i) {
      if (valuesOf<Type>(elements, i, i + 1) != values) continue;
      found.first_index = static_cast<std::int64_t>(i);
      found.first_value = Type::value(bitsAt<Type>(elements, i));
      break;
    }
  }
  return found;
}

}  // namespace

LocalValues checkValues(const void* elements, std::size_t count, ElementType type) noexcept {
  const auto* const bytes = static_cast<const unsigned char*>(elements);
  switch (type) {
    case ElementType::kInt8:
      return check<Int8>(bytes, count);
    case ElementType::kFloat16:
      return check<Float16>(bytes, count);
    case ElementType::kBfloat16:
      return check<Bfloat16>(bytes, count);
    case ElementType::kFloat32:
      return check<Float32>(bytes, count);
    case ElementType::kFloat64:
      return check<Float64>(bytes, count);
  }
  return {};
}

}  // namespace signccl::rules
