// SPDX-License-Identifier: Apache-2.0
#include "exec/mean_table.h"

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "base/error.h"

namespace signccl {
namespace {

/// Rounds to a binary float with `mantissa_bits` stored bits and exponents down to `min_exponent`, and encodes it.
/// For values that do not overflow, such as those up to 2048.
std::uint16_t toSmallFloat(double value, int mantissa_bits, int min_exponent, int bias) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(value);
  if (magnitude == 0) return sign;
  const int exponent = std::max(std::ilogb(magnitude), min_exponent);
  // In units of the last place the value is rounded by nearbyint: to nearest, ties to even, in the default mode.
  const auto units = static_cast<unsigned>(std::nearbyint(std::ldexp(magnitude, mantissa_bits - exponent)));
  const unsigned implicit = 1U << mantissa_bits;
  // A subnormal has biased exponent 0; a carry out of the mantissa moves the exponent up by itself.
  const unsigned biased = units >= implicit ? static_cast<unsigned>(exponent + bias) : 0;
  const unsigned mantissa = units >= implicit ? units - implicit : units;
  return static_cast<std::uint16_t>(sign | ((biased << mantissa_bits) + mantissa));
}

template <typename T>
void put(void* table, std::int64_t index, T value) {
  std::memcpy(static_cast<std::byte*>(table) + static_cast<std::size_t>(index) * sizeof(T), &value, sizeof(T));
}

/// Puts sum / divisor, or for integer types the sum.
void putMean(void* table, std::int64_t index, ElementType type, std::int64_t sum, int divisor) {
  // Both are exact in double; for the narrower types rounding twice is innocuous, double has more than 2 p + 2 bits.
  const double mean = static_cast<double>(sum) / divisor;
  switch (type) {
    case ElementType::kFloat32:
      return put(table, index, static_cast<float>(mean));
    case ElementType::kFloat64:
      return put(table, index, mean);
    case ElementType::kFloat16:
      return put(table, index, toFloat16(mean));
    case ElementType::kBFloat16:
      return put(table, index, toBFloat16(mean));
    case ElementType::kInt8:
      return put(table, index, static_cast<std::int8_t>(sum));
    case ElementType::kInt16:
      return put(table, index, static_cast<std::int16_t>(sum));
    case ElementType::kInt32:
      return put(table, index, static_cast<std::int32_t>(sum));
    case ElementType::kBits:
      break;
  }
  SIGNCCL_ASSERT(type != ElementType::kBits);
}

/// Means must not depend on the rounding mode of the thread that happens to compute them.
class RoundToNearest {
 public:
  RoundToNearest() : previous_(std::fegetround()) { std::fesetround(FE_TONEAREST); }
  ~RoundToNearest() { std::fesetround(previous_); }
  RoundToNearest(const RoundToNearest&) = delete;
  RoundToNearest& operator=(const RoundToNearest&) = delete;

 private:
  int previous_;
};

}  // namespace

std::uint16_t toFloat16(double value) { return toSmallFloat(value, 10, -14, 15); }

std::uint16_t toBFloat16(double value) { return toSmallFloat(value, 7, -126, 127); }

std::int64_t mostExactRanks(ElementType type) {
  switch (type) {
    case ElementType::kFloat64:
      return std::int64_t{1} << 53;
    case ElementType::kFloat32:
      return std::int64_t{1} << 24;
    case ElementType::kFloat16:
      return std::int64_t{1} << 11;
    case ElementType::kBFloat16:
      return std::int64_t{1} << 8;
    case ElementType::kInt8:
      return std::numeric_limits<std::int8_t>::max();
    case ElementType::kInt16:
      return std::numeric_limits<std::int16_t>::max();
    case ElementType::kInt32:
      return std::numeric_limits<std::int32_t>::max();
    case ElementType::kBits:
      break;
  }
  return 0;
}

MeanTable::MeanTable(ElementType type, const CountRules& rules, CountMeaning meaning) {
  constexpr std::size_t kAlignment = 64;
  const std::size_t entries = std::size_t{1} << fullPlanes(rules);
  bytes_ = (elementBytes(type, entries) + kAlignment - 1) / kAlignment * kAlignment;
  values_.reset(std::aligned_alloc(kAlignment, bytes_));
  if (!values_) throw std::bad_alloc();
  std::memset(values_.get(), 0, bytes_);
  const RoundToNearest rounding;
  const std::int64_t total = rules.totalVotes();
  for (std::int64_t count = 0; count <= total; ++count) {
    const std::int64_t sum = rules.votes_per_rank == 1 ? 2 * count - total : count - rules.nranks;
    putMean(values_.get(), count, type, sum, meaning == CountMeaning::kMean ? rules.nranks : 1);
  }
}

void MeanTable::Free::operator()(void* memory) const { std::free(memory); }

}  // namespace signccl
