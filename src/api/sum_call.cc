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

int valuesOf(std::uint32_t met) {
  if ((met & kMetOthers) != 0) return signcclValuesOther;
  return met != 0 ? signcclValuesZeros : signcclValuesSigns;
}

/// An element as a number; exact for all types but kBits, which has none.
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

[[noreturn]] void refuse(const SumCall& call, const Notes& notes, const std::optional<Misfit>& misfit, int rank) {
  const std::string own = "rank " + std::to_string(rank) + ", this one, ";
  std::string whose = "sendbuff of another rank than " + own + "holds a value that does not fit";
  if (misfit) {
    whose = "sendbuff of " + own + "holds " + textOf(misfit->value) + " at element " + std::to_string(misfit->index);
  } else if (!call.fits(notes.own)) {
    whose = "sendbuff of " + own + "held a value that does not fit";
  }
  throw Error(signcclInvalidArgument,
              whose + "; " + expectedSigns(call.votes_per_rank) +
                  (call.discards_misfits ? ". recvbuff is not the sum" : ". No rank has written its recvbuff"));
}

/// The first misfit among elements of which one is.
Misfit misfitAmong(const Kernels& kernels, ElementType type, const std::byte* elements, std::size_t count,
                   int votes_per_rank) {
  Word positive[kSearchWords];
  Word nonnegative[kSearchWords];
  std::size_t begin = 0;
  while (count > 1) {
    const std::size_t half = count / 2;
    const void* const from = elements + elementBytes(type, begin);
    if (fitsSigns(kernels.encodeSumTernary(type, from, half, positive, nonnegative), votes_per_rank)) {
      begin += half;
      count -= half;
    } else {
      count = half;
    }
  }
  return {begin, valueOf(type, elements + elementBytes(type, begin))};
}

}  // namespace

std::optional<Misfit> firstMisfit(const Kernels& kernels, ElementType type, const void* elements, std::size_t count,
                                  int votes_per_rank) {
  Word positive[kSearchWords];
  Word nonnegative[kSearchWords];
  for (std::size_t first = 0; first < count; first += kSearchWords * kWordBits) {
    const std::size_t n = std::min(count - first, kSearchWords * kWordBits);
    const std::byte* const from = static_cast<const std::byte*>(elements) + elementBytes(type, first);
    if (fitsSigns(kernels.encodeSumTernary(type, from, n, positive, nonnegative), votes_per_rank)) continue;
    const Misfit found = misfitAmong(kernels, type, from, n, votes_per_rank);
    return Misfit{first + found.index, found.value};
  }
  return std::nullopt;
}

void tellOutcome(const SumCall& call, const Notes& notes, int rank, const std::optional<Misfit>& misfit) {
  const bool fits = call.fits(notes.all);
  if (call.outcome == nullptr) {
    if (!fits) refuse(call, notes, misfit, rank);
    return;
  }
  signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
  outcome.values = valuesOf(metOfSum(notes.all, call.segment));
  outcome.isWritten = fits ? 1 : 0;
  outcome.firstIndex = misfit ? static_cast<std::int64_t>(misfit->index) : -1;
  outcome.firstValue = misfit ? misfit->value : 0;
  writeVersioned(outcome, call.outcome, "outcome");
}

}  // namespace signccl
