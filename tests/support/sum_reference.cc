// SPDX-License-Identifier: Apache-2.0
#include "support/sum_reference.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace signccl {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <typename T>
void put(std::byte* elements, std::size_t index, T value) {
  std::memcpy(elements + index * sizeof value, &value, sizeof value);
}

template <typename T>
T get(const std::byte* elements, std::size_t index) {
  T value;
  std::memcpy(&value, elements + index * sizeof value, sizeof value);
  return value;
}

/// A whole number with at most `fraction_bits` + 1 significant bits.
std::uint16_t smallFloat(std::int64_t number, int fraction_bits, int bias) {
  if (number == 0) return 0;
  int exponent = 0;
  std::int64_t fraction = std::abs(number);
  while (std::abs(number) >> (exponent + 1) != 0) ++exponent;
  for (int i = exponent; i < fraction_bits; ++i) fraction *= 2;
  for (int i = fraction_bits; i < exponent; ++i) {
    if (fraction % 2 != 0) throw std::logic_error("the number is not exact");
    fraction /= 2;
  }
  const std::int64_t magnitude = ((std::int64_t{exponent} + bias - 1) << fraction_bits) + fraction;
  return static_cast<std::uint16_t>((number < 0 ? 0x8000 : 0) + magnitude);
}

/// -1, 0 or +1.
int signNumber(ElementType type, const std::byte* elements, std::size_t index) {
  const std::size_t width = elementBytes(type, 1);
  for (const int number : {-1, 0, 1}) {
    std::array<std::byte, 8> as_element{};
    putNumber(type, number, as_element.data(), 0);
    if (std::memcmp(as_element.data(), elements + index * width, width) == 0) return number;
  }
  throw std::logic_error("the element is no sign");
}

template <typename T>
void addUp(std::span<const std::byte* const> inputs, std::size_t count, std::byte* sums) {
  for (std::size_t i = 0; i < count; ++i) {
    T sum = get<T>(inputs[0], i);
    for (const std::byte* input : inputs.subspan(1)) sum = static_cast<T>(sum + get<T>(input, i));
    put(sums, i, sum);
  }
}

}  // namespace

std::span<const ElementType> sumTypes() {
  static constexpr std::array kTypes = {ElementType::kFloat32, ElementType::kFloat16, ElementType::kBFloat16,
                                        ElementType::kFloat64, ElementType::kInt8};
  return kTypes;
}

void putNumber(ElementType type, std::int64_t number, std::byte* elements, std::size_t index) {
  switch (type) {
    case ElementType::kFloat64:
      return put(elements, index, static_cast<double>(number));
    case ElementType::kFloat32:
      return put(elements, index, static_cast<float>(number));
    case ElementType::kFloat16:
      return put(elements, index, smallFloat(number, 10, 15));
    case ElementType::kBFloat16:
      return put(elements, index, smallFloat(number, 7, 127));
    case ElementType::kInt8:
      return put(elements, index, static_cast<std::int8_t>(number));
    case ElementType::kInt16:
    case ElementType::kInt32:
    case ElementType::kBits:
      break;
  }
  throw std::logic_error("no type of a sum");
}

void putPattern(ElementType type, std::uint64_t pattern, std::byte* elements, std::size_t index) {
  const std::size_t width = elementBytes(type, 1);
  std::memcpy(elements + index * width, &pattern, width);  // little-endian
}

void fillSigns(ElementType type, std::size_t count, bool has_zeros, std::mt19937_64& random, std::byte* elements) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t drawn = random();
    const int sign = drawn % 2 == 0 ? 1 : -1;
    putNumber(type, has_zeros && drawn / 2 % 3 == 0 ? 0 : sign, elements, i);
  }
}

std::vector<std::byte> referenceSum(ElementType type, std::size_t count, std::span<const std::byte* const> inputs) {
  std::vector<std::byte> sums(elementBytes(type, count));
  if (type == ElementType::kFloat32) {
    addUp<float>(inputs, count, sums.data());
  } else if (type == ElementType::kFloat64) {
    addUp<double>(inputs, count, sums.data());
  } else if (type == ElementType::kInt8) {
    addUp<std::int8_t>(inputs, count, sums.data());
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      int sum = 0;
      for (const std::byte* input : inputs) sum += signNumber(type, input, i);
      putNumber(type, sum, sums.data(), i);
    }
  }
  return sums;
}

std::vector<StrangeValue> strangeValues(ElementType type) {
  switch (type) {
    case ElementType::kFloat64:
      return {{0x8000'0000'0000'0000, -0.0},      {0x3FF0'0000'0000'0001, std::nextafter(1.0, 2.0)},
              {0x4000'0000'0000'0000, 2},         {0x0000'0000'0000'0001, 0x1p-1074},
              {0x3FE0'0000'0000'0000, 0.5},       {0xBFF8'0000'0000'0000, -1.5},
              {0x7FF0'0000'0000'0000, kInfinity}, {0xFFF0'0000'0000'0000, -kInfinity},
              {0x7FF8'0000'0000'0000, kNan},      {0x0000'0000'3F80'0000, 0x3F80'0000 * 0x1p-1074}};
    case ElementType::kFloat32:
      return {{0x8000'0000, -0.0}, {0x3F80'0001, 1 + 0x1p-23}, {0x4000'0000, 2},           {1, 0x1p-149},
              {0x3F00'0000, 0.5},  {0xBFC0'0000, -1.5},        {0x7F80'0000, kInfinity},   {0xFF80'0000, -kInfinity},
              {0x7FC0'0000, kNan}, {0xFFFF'FFFF, kNan},        {0xBF80'0001, -1 - 0x1p-23}};
    case ElementType::kFloat16:
      return {{0x8000, -0.0}, {0x3C01, 1 + 0x1p-10}, {0x4000, 2},          {1, 0x1p-24},   {0x3800, 0.5},
              {0xBE00, -1.5}, {0x7C00, kInfinity},   {0xFC00, -kInfinity}, {0x7E00, kNan}, {0xC000, -2}};
    case ElementType::kBFloat16:
      return {{0x8000, -0.0}, {0x3F81, 1 + 0x1p-7}, {0x4000, 2},          {1, 0x1p-133},  {0x3F00, 0.5},
              {0xBFC0, -1.5}, {0x7F80, kInfinity},  {0xFF80, -kInfinity}, {0x7FC0, kNan}, {0xC000, -2}};
    case ElementType::kInt8:
      return {{2, 2}, {3, 3}, {0x7F, 127}, {0x80, -128}, {0x81, -127}, {0xFE, -2}, {0xFD, -3}};
    case ElementType::kInt16:
    case ElementType::kInt32:
    case ElementType::kBits:
      break;
  }
  throw std::logic_error("no type of a sum");
}

}  // namespace signccl
