// SPDX-License-Identifier: Apache-2.0
#include "support/sign_reference.h"

#include <array>
#include <cstring>

#include "base/error.h"
#include "support/float_format.h"
#include "support/random_tie.h"

namespace signccl {
namespace {

constexpr std::array kSignTypes = {ElementType::kBits,     ElementType::kFloat32, ElementType::kFloat16,
                                   ElementType::kBFloat16, ElementType::kFloat64, ElementType::kInt8};
constexpr std::array kMeanTypes = {ElementType::kFloat32, ElementType::kFloat16, ElementType::kBFloat16,
                                   ElementType::kFloat64, ElementType::kInt8,    ElementType::kInt16,
                                   ElementType::kInt32};

std::uint64_t load(const std::byte* elements, std::size_t index, std::size_t width) {
  std::uint64_t pattern = 0;
  std::memcpy(&pattern, elements + index * width, width);
  return pattern;
}

void store(std::byte* elements, std::size_t index, std::size_t width, std::uint64_t pattern) {
  std::memcpy(elements + index * width, &pattern, width);
}

/// sum / nranks, or the sum itself, as an element.
std::uint64_t patternOf(ElementType type, std::int64_t sum, std::int64_t nranks) {
  switch (type) {
    case ElementType::kInt8:
    case ElementType::kInt16:
    case ElementType::kInt32:
      return static_cast<std::uint64_t>(sum);
    default:
      return roundedQuotient(sum, nranks, formatOf(type));
  }
}

int voteOf(const ReferenceCall& call, std::size_t index, std::int64_t sum) {
  if (sum != 0) return sum > 0 ? 1 : -1;
  switch (call.tie) {
    case TieRule::kZero:
      return 0;
    case TieRule::kPositive:
      return 1;
    case TieRule::kNegative:
      return -1;
    case TieRule::kRandom:
      return randomTieIsPositive(call.call, index) ? 1 : -1;
  }
  throwInternal("unknown tie rule", __FILE__, __LINE__);
}

}  // namespace

std::span<const ElementType> sendTypes() { return kSignTypes; }

std::span<const ElementType> recvTypes(SignOp op, TieRule tie) {
  if (op == SignOp::kAvg) return kMeanTypes;
  const std::span<const ElementType> all = kSignTypes;
  return tie == TieRule::kZero ? all.subspan(1) : all;  // packed bits, the first, cannot hold a zero
}

int signOfElement(ElementType type, const std::byte* elements, std::size_t index, bool is_ternary) {
  if (type == ElementType::kBits) return ((load(elements, index / 64, 8) >> (index % 64)) & 1) != 0 ? 1 : -1;
  int sign = 0;
  if (type == ElementType::kInt8) {
    const auto value = static_cast<std::int8_t>(load(elements, index, 1));
    sign = (value > 0) - (value < 0);
  } else {
    sign = signOfPattern(load(elements, index, elementBytes(type, 1)), formatOf(type));
  }
  return sign == 0 && !is_ternary ? 1 : sign;
}

std::vector<std::byte> referenceResult(const ReferenceCall& call, std::span<const std::byte* const> inputs) {
  const auto nranks = static_cast<std::int64_t>(inputs.size());
  std::vector<std::byte> result(elementBytes(call.recvtype, call.count));
  for (std::size_t i = 0; i < call.count; ++i) {
    std::int64_t sum = 0;
    for (const std::byte* input : inputs) sum += signOfElement(call.sendtype, input, i, call.is_ternary);
    if (call.recvtype == ElementType::kBits) {
      const std::uint64_t bit = voteOf(call, i, sum) > 0 ? 1 : 0;
      store(result.data(), i / 64, 8, load(result.data(), i / 64, 8) | (bit << (i % 64)));
    } else if (call.op == SignOp::kVote) {
      store(result.data(), i, elementBytes(call.recvtype, 1), patternOf(call.recvtype, voteOf(call, i, sum), 1));
    } else {
      store(result.data(), i, elementBytes(call.recvtype, 1), patternOf(call.recvtype, sum, nranks));
    }
  }
  return result;
}

void fillElements(ElementType type, std::size_t count, std::mt19937_64& random, std::byte* elements) {
  const std::size_t nbytes = elementBytes(type, count);
  for (std::size_t i = 0; i < nbytes; ++i) elements[i] = static_cast<std::byte>(random());
  if (type == ElementType::kBits) return;
  const std::size_t width = elementBytes(type, 1);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t pattern = load(elements, i, width);
    if (type == ElementType::kInt8) {
      if (random() % 4 == 0) pattern = 0;
    } else {
      const FloatFormat format = formatOf(type);
      const std::uint64_t sign = std::uint64_t{1} << (format.bits() - 1);
      const std::uint64_t infinity = ((std::uint64_t{1} << format.exponent_bits) - 1) << format.fraction_bits;
      switch (random() % 8) {
        case 0:
          pattern &= sign;  // a zero
          break;
        case 1:
          pattern |= infinity | 1;  // a NaN
          break;
        case 2:
          pattern = (pattern & sign) | infinity;
          break;
        case 3:
          pattern &= ~infinity;  // subnormal
          break;
        default:
          break;
      }
    }
    store(elements, i, width, pattern);
  }
}

}  // namespace signccl
