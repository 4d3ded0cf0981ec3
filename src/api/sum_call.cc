// SPDX-License-Identifier: Apache-2.0
#include "api/sum_call.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/versioned_struct.h"

namespace signccl {
namespace {

/// As many elements are looked at together while a misfit is searched for; then as many words of elements.
constexpr std::size_t kSearchWords = 64;

template <typename T>
T read(const void* element) {
  T value;
  std::memcpy(&value, element, sizeof value);
  return value;
}

double valueOfFloat16(std::uint16_t pattern) {
  const unsigned exponent = (pattern >> 10U) & 0x1FU;
  const unsigned fraction = pattern & 0x3FFU;
  double magnitude = 0;
  if (exponent == 0x1F) {
    magnitude = fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(fraction, -24);
  } else {
    magnitude = std::ldexp(0x400U | fraction, static_cast<int>(exponent) - 25);
  }
  return (pattern & 0x8000U) != 0 ? -magnitude : magnitude;
}

/// As "%g" prints it: "2", "-0", "nan".
std::string textOf(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

const char* expected(int votes_per_rank) {
  return votes_per_rank == 1 ? "expected -1 and +1 (config->zeroRule is signcclZeroBinary)"
                             : "expected -1, 0 and +1 (config->zeroRule is signcclZeroTernary)";
}

int valuesOf(std::uint32_t met) {
  if ((met & kMetOthers) != 0) return signcclValuesOther;
  return met != 0 ? signcclValuesZeros : signcclValuesSigns;
}

[[noreturn]] void refuse(const SumCall& call, std::optional<std::size_t> misfit, int rank, double value) {
  const std::string whose = misfit ? "sendbuff of rank " + std::to_string(rank) + ", this one, holds " + textOf(value) +
                                         " at element " + std::to_string(*misfit)
                                   : "sendbuff of another rank than rank " + std::to_string(rank) +
                                         ", this one, holds a value that does not fit";
  throw Error(signcclInvalidArgument,
              whose + "; " + expected(call.votes_per_rank) + ". No rank has written its recvbuff");
}

}  // namespace

std::optional<std::size_t> firstMisfit(const Kernels& kernels, ElementType type, const void* elements,
                                       std::size_t count, int votes_per_rank) {
  Word positive[kSearchWords];
  Word nonnegative[kSearchWords];
  const auto fits = [&](std::size_t first, std::size_t n) {
    const void* const from = static_cast<const std::byte*>(elements) + elementBytes(type, first);
    return fitsSigns(kernels.encodeSumTernary(type, from, n, positive, nonnegative), votes_per_rank);
  };
  for (std::size_t first = 0; first < count; first += kSearchWords * kWordBits) {
    std::size_t n = std::min(count - first, kSearchWords * kWordBits);
    if (fits(first, n)) continue;
    std::size_t begin = first;
    while (n > 1) {
      const std::size_t half = n / 2;
      if (fits(begin, half)) {
        begin += half;
        n -= half;
      } else {
        n = half;
      }
    }
    return begin;
  }
  return std::nullopt;
}

double valueOf(ElementType type, const void* element) {
  switch (type) {
    case ElementType::kFloat64:
      return read<double>(element);
    case ElementType::kFloat32:
      return read<float>(element);
    case ElementType::kFloat16:
      return valueOfFloat16(read<std::uint16_t>(element));
    case ElementType::kBFloat16:
      return std::bit_cast<float>(std::uint32_t{read<std::uint16_t>(element)} << 16U);
    case ElementType::kInt8:
      return read<std::int8_t>(element);
    case ElementType::kInt16:
      return read<std::int16_t>(element);
    case ElementType::kInt32:
      return read<std::int32_t>(element);
    case ElementType::kBits:
      break;
  }
  return 0;
}

void tellOutcome(const SumCall& call, const Notes& notes, int rank, const Kernels& kernels) {
  const std::uint32_t met = metOfSum(notes.all, call.segment);
  const bool fits = fitsSigns(met, call.votes_per_rank);
  std::optional<std::size_t> misfit;
  double value = 0;
  if (!fitsSigns(metOfSum(notes.own, call.segment), call.votes_per_rank)) {
    misfit = firstMisfit(kernels, call.type, call.sendbuff, call.count, call.votes_per_rank);
  }
  if (misfit) {
    value = valueOf(call.type, static_cast<const std::byte*>(call.sendbuff) + elementBytes(call.type, *misfit));
  }
  if (call.outcome == nullptr) {
    if (!fits) refuse(call, misfit, rank, value);
    return;
  }
  signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
  outcome.values = valuesOf(met);
  outcome.isWritten = fits ? 1 : 0;
  outcome.firstIndex = misfit ? static_cast<std::int64_t>(*misfit) : -1;
  outcome.firstValue = value;
  writeVersioned(outcome, call.outcome, "outcome");
}

}  // namespace signccl
