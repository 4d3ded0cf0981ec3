// SPDX-License-Identifier: Apache-2.0
// What the kernels of a Lion step mean, number by number, in the simplest way that can be written. Not for speed.
#include "kernels/reference_lion.h"

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>

#include "kernels/reference_elements.h"

namespace signccl::reference {
namespace {

/// The floating-point environment of a program's start, while it lives.
class DefaultEnvironment {
 public:
  DefaultEnvironment() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultEnvironment() { std::fesetenv(&saved_); }
  DefaultEnvironment(const DefaultEnvironment&) = delete;
  DefaultEnvironment& operator=(const DefaultEnvironment&) = delete;

 private:
  std::fenv_t saved_;
};

/// A number in volatile memory: calculations with it stay where they are written, between the changes of the
/// environment, and every result is rounded to float32.
using Number = volatile float;

float add(float a, float b) {
  Number x = a, y = b, sum = x + y;
  return sum;
}

float multiply(float a, float b) {
  Number x = a, y = b, product = x * y;
  return product;
}

float subtract(float a, float b) {
  Number x = a, y = b, difference = x - y;
  return difference;
}

/// A format of 16 bits: sign, exponent, fraction.
struct Format {
  int exponent_bits;

  [[nodiscard]] int fractionBits() const { return 15 - exponent_bits; }
  [[nodiscard]] int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  [[nodiscard]] uint32_t infinity() const { return ((1U << exponent_bits) - 1) << fractionBits(); }
  [[nodiscard]] uint32_t quietNan() const { return infinity() | 1U << (fractionBits() - 1); }
};
constexpr Format kFloat16{5};
constexpr Format kBFloat16{8};

/// Every number of 16 bits is a double.
double valueOf(uint16_t pattern, Format format) {
  const uint32_t magnitude = pattern & 0x7FFF;
  const auto fraction = static_cast<double>(magnitude & ((1U << format.fractionBits()) - 1));
  const int exponent = static_cast<int>(magnitude >> format.fractionBits());
  double value = 0;
  if (magnitude >= format.infinity()) {
    value = magnitude > format.infinity() ? NAN : INFINITY;
  } else if (exponent == 0) {
    value = std::ldexp(fraction, 1 - format.bias() - format.fractionBits());
  } else {
    value =
        std::ldexp(fraction + std::ldexp(1, format.fractionBits()), exponent - format.bias() - format.fractionBits());
  }
  return pattern >> 15 != 0 ? -value : value;
}

/// The pattern of the nearest number of the format; of two that are as near, the even one.
uint16_t nearest(float value, Format format) {
  if (std::isnan(value)) return static_cast<uint16_t>(format.quietNan());
  const uint32_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(static_cast<double>(value));
  const double unlimited = std::ldexp(1, format.bias() + 1);  // where numbers would go on if there were no infinity
  uint32_t pattern = format.infinity();
  if (magnitude < unlimited) {
    const int lowest = 1 - format.bias();
    const int exponent = magnitude == 0 ? lowest : std::max(lowest, std::ilogb(magnitude));
    // Units in the last place: nearbyint() rounds as the environment says, ties to even. The implicit bit, if there is
    // one, adds 1 to the exponent, and so does a carry; the largest number carries into infinity.
    const auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, format.fractionBits() - exponent)));
    pattern = (static_cast<uint32_t>(exponent - lowest) << format.fractionBits()) + units;
  }
  return static_cast<uint16_t>(sign | pattern);
}

float getFloat(FloatType type, const void* numbers, size_t e) {
  switch (type) {
    case FloatType::kFloat32:
      return getElement<float>(numbers, e);
    case FloatType::kFloat16:
      return static_cast<float>(valueOf(getElement<uint16_t>(numbers, e), kFloat16));
    case FloatType::kBFloat16:
      return static_cast<float>(valueOf(getElement<uint16_t>(numbers, e), kBFloat16));
  }
  return 0;
}

void setFloat(FloatType type, void* numbers, size_t e, float value) {
  switch (type) {
    case FloatType::kFloat32:
      return setElement(numbers, e, std::isnan(value) ? 0x7FC0'0000 : std::bit_cast<uint32_t>(value));
    case FloatType::kFloat16:
      return setElement(numbers, e, nearest(value, kFloat16));
    case FloatType::kBFloat16:
      return setElement(numbers, e, nearest(value, kBFloat16));
  }
}

void setStochastic(const LionRounding& rounding, void* numbers, size_t e, float value) {
  if (std::isnan(value)) return setElement(numbers, e, uint16_t{0x7FC0});
  const uint64_t number = rounding.first + e;
  const Word word = randomTieWord(rounding.key, number / 4);
  const auto random = static_cast<uint32_t>(word >> (16 * (number % 4))) & 0xFFFF;
  setElement(numbers, e, static_cast<uint16_t>((std::bit_cast<uint32_t>(value) + random) >> 16));
}

void stepParameter(const LionParameters& lion, size_t e, float direction) {
  const float x = getFloat(lion.type, lion.parameters, e);
  const float decayed = add(direction, multiply(lion.weight_decay, x));
  const float stepped = subtract(x, multiply(lion.learning_rate, decayed));
  if (lion.type == FloatType::kBFloat16 && lion.rounding.is_stochastic) {
    setStochastic(lion.rounding, lion.parameters, e, stepped);
  } else {
    setFloat(lion.type, lion.parameters, e, stepped);
  }
}

}  // namespace

void encodeLion(const LionMomenta& lion, size_t count, Word* positive, Word* nonnegative) {
  const DefaultEnvironment environment;
  clearWords(nonnegative, count);
  if (positive != nullptr) clearWords(positive, count);
  for (size_t e = 0; e < count; ++e) {
    const LionBetas& betas = lion.betas;
    const float g = lion.gradients == nullptr ? 0 : getFloat(lion.gradient_type, lion.gradients, e);
    const float m = getFloat(lion.momentum_type, lion.momenta, e);
    const float u = add(multiply(betas.beta1, m), multiply(betas.one_minus_beta1, g));
    setFloat(lion.momentum_type, lion.momenta, e, add(multiply(betas.beta2, m), multiply(betas.one_minus_beta2, g)));
    setBit(nonnegative, e, !(u < 0));
    if (positive != nullptr) setBit(positive, e, u > 0);
  }
}

void decodeVoteLion(const LionParameters& lion, const Word* positive, const Word* nonnegative, size_t count) {
  const DefaultEnvironment environment;
  for (size_t e = 0; e < count; ++e) {
    const bool is_zero = nonnegative != nullptr && getBit(nonnegative, e);
    const float vote = is_zero ? 0 : -1;
    stepParameter(lion, e, getBit(positive, e) ? 1 : vote);
  }
}

void decodeAvgLion(const LionParameters& lion, Counts counts, const float* table, size_t count) {
  const DefaultEnvironment environment;
  for (size_t e = 0; e < count; ++e) stepParameter(lion, e, table[getCount(counts, e)]);
}

}  // namespace signccl::reference
