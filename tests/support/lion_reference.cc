// SPDX-License-Identifier: Apache-2.0
#include "support/lion_reference.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "support/float_format.h"
#include "support/random_tie.h"

namespace signccl {
namespace {

FloatFormat formatOfType(FloatType type) {
  switch (type) {
    case FloatType::kFloat32:
      return kFloat32Format;
    case FloatType::kFloat16:
      return kFloat16Format;
    case FloatType::kBFloat16:
      return kBFloat16Format;
  }
  return kFloat32Format;
}

std::size_t bytesOf(FloatType type) { return static_cast<std::size_t>(formatOfType(type).bits()) / 8; }

double valueOf(std::uint32_t pattern, FloatFormat format) {
  const auto fraction = static_cast<double>(pattern & ((1U << format.fraction_bits) - 1));
  const int exponent = static_cast<int>(pattern >> format.fraction_bits) & ((1 << format.exponent_bits) - 1);
  const double sign = (pattern >> (format.bits() - 1) & 1) != 0 ? -1.0 : 1.0;
  if (exponent == (1 << format.exponent_bits) - 1) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  const double unit = std::ldexp(1.0, format.fraction_bits);
  return exponent == 0 ? sign * std::ldexp(fraction, 1 - format.bias() - format.fraction_bits)
                       : sign * std::ldexp(unit + fraction, exponent - format.bias() - format.fraction_bits);
}

std::uint32_t patternOf(double value, FloatFormat format) {
  const std::uint32_t infinity = ((1U << format.exponent_bits) - 1) << format.fraction_bits;
  if (std::isnan(value)) return infinity | (1U << (format.fraction_bits - 1));
  const std::uint32_t sign = std::signbit(value) ? 1U << (format.bits() - 1) : 0;
  const double size = std::fabs(value);
  if (size == 0) return sign;
  if (std::isinf(size)) return sign | infinity;
  // Units in the last place, of the binade of the value or of the denormals.
  const int exponent = std::max(std::ilogb(size), 1 - format.bias());
  const auto units = static_cast<std::uint64_t>(std::nearbyint(std::ldexp(size, format.fraction_bits - exponent)));
  // A carry into the next binade, or into infinity, comes out right.
  const auto biased = static_cast<std::uint64_t>(exponent + format.bias() - 1) << format.fraction_bits;
  return sign | static_cast<std::uint32_t>(std::min<std::uint64_t>(biased + units, infinity));
}

/// To float32.
double fl(double value) { return static_cast<double>(static_cast<float>(value)); }

int signOf(double value, bool is_ternary) {
  if (value < 0) return -1;
  return value > 0 || !is_ternary ? 1 : 0;
}

double direction(const ReferenceLionStep& step, std::int64_t sum, std::int64_t nranks, std::size_t index) {
  if (step.rules.op == SignOp::kAvg) return fl(static_cast<double>(sum) / static_cast<double>(nranks));
  if (sum != 0) return sum > 0 ? 1 : -1;
  switch (step.rules.tie) {
    case TieRule::kZero:
      return 0;
    case TieRule::kPositive:
      return 1;
    case TieRule::kNegative:
      return -1;
    case TieRule::kRandom:
      return randomTieIsPositive(step.call, 64 * step.first_word + index) ? 1 : -1;
  }
  return 0;
}

}  // namespace

FloatBuffer::FloatBuffer(FloatType type, std::size_t count)
    : type_(type), count_(count), bytes_(count * bytesOf(type)) {}

double FloatBuffer::get(std::size_t index) const {
  std::uint32_t pattern = 0;
  std::memcpy(&pattern, bytes_.data() + index * bytesOf(type_), bytesOf(type_));
  return valueOf(pattern, formatOfType(type_));
}

void FloatBuffer::setPattern(std::size_t index, std::uint32_t pattern) {
  std::memcpy(bytes_.data() + index * bytesOf(type_), &pattern, bytesOf(type_));
}

void FloatBuffer::set(std::size_t index, double value) { setPattern(index, patternOf(value, formatOfType(type_))); }

void FloatBuffer::setStochastically(std::size_t index, double value, std::uint32_t random) {
  const std::uint32_t pattern = patternOf(value, kFloat32Format);
  setPattern(index, (pattern + random) >> 16);
}

void FloatBuffer::fill(std::mt19937_64& random, double scale) {
  std::normal_distribution<double> normal(0, scale);
  for (std::size_t i = 0; i < count_; ++i) {
    if (random() % 10 == 0) {
      setPattern(i, static_cast<std::uint32_t>(random()));
    } else {
      set(i, random() % 10 == 0 ? 0 : normal(random));
    }
  }
}

void referenceLionStep(const ReferenceLionStep& step, std::span<const FloatBuffer* const> gradients,
                       std::span<FloatBuffer> momenta, FloatBuffer& parameters) {
  const ReferenceHyperparameters& hyper = step.hyperparameters;
  const double b1 = fl(hyper.beta1);
  const double c1 = fl(1 - hyper.beta1);
  const double b2 = fl(hyper.beta2);
  const double c2 = fl(1 - hyper.beta2);
  const double rate = fl(hyper.learning_rate);
  const double decay = fl(hyper.weight_decay);
  for (std::size_t i = 0; i < parameters.count(); ++i) {
    std::int64_t sum = 0;
    for (std::size_t rank = 0; rank < momenta.size(); ++rank) {
      const double m = momenta[rank].get(i);
      const double g = gradients[rank] == nullptr ? 0 : gradients[rank]->get(i);
      sum += signOf(fl(fl(b1 * m) + fl(c1 * g)), step.rules.is_ternary);
      momenta[rank].set(i, fl(fl(b2 * m) + fl(c2 * g)));
    }
    const double x = parameters.get(i);
    const double d = direction(step, sum, static_cast<std::int64_t>(momenta.size()), i);
    const double updated = fl(x - fl(rate * fl(d + fl(decay * x))));
    if (step.rules.rounds_stochastically && parameters.type() == FloatType::kBFloat16) {
      const std::uint64_t number = 64 * step.first_word + i;
      const std::uint64_t bits = tieWordOf(tieKeyOf(step.rules.rounding_seed) + step.call, number / 4);
      parameters.setStochastically(i, updated, static_cast<std::uint32_t>(bits >> 16 * (number % 4) & 0xFFFF));
    } else {
      parameters.set(i, updated);
    }
  }
}

}  // namespace signccl
