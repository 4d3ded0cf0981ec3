#include "oracle.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <stdexcept>

namespace signccl::test {
namespace {

/// A binary floating-point format that is decoded by hand.
struct Format {
  int exponent_bits;
  int mantissa_bits;

  [[nodiscard]] int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  [[nodiscard]] bool isNan(std::uint32_t bits) const {
    const std::uint32_t magnitude = bits & ((1U << (exponent_bits + mantissa_bits)) - 1);
    return magnitude > ((1U << exponent_bits) - 1) << mantissa_bits;
  }
  [[nodiscard]] double value(std::uint32_t bits) const {
    const std::uint32_t mantissa = bits & ((1U << mantissa_bits) - 1);
    const int exponent = static_cast<int>((bits >> mantissa_bits) & ((1U << exponent_bits) - 1));
    const bool negative = (bits >> (exponent_bits + mantissa_bits)) != 0;
    double magnitude = 0;
    if (isNan(bits)) {
      magnitude = std::nan("");
    } else if (exponent == (1 << exponent_bits) - 1) {
      magnitude = HUGE_VAL;
    } else if (exponent == 0) {
      magnitude = std::ldexp(mantissa, 1 - bias() - mantissa_bits);
    } else {
      magnitude = std::ldexp(mantissa + (1U << mantissa_bits), exponent - bias() - mantissa_bits);
    }
    return negative ? -magnitude : magnitude;
  }
};

constexpr Format kHalf{5, 10};
constexpr Format kBfloat{8, 7};

template <typename T>
T load(const std::byte* buffer, std::size_t index) {
  T value;
  std::memcpy(&value, buffer + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void store(std::vector<std::byte>& buffer, std::size_t index, T value) {
  std::memcpy(buffer.data() + index * sizeof(T), &value, sizeof(T));
}

/// The representable value nearest to sum / nranks, by exhaustive search; of two that are equally near the even one.
std::uint16_t nearest(const Format& format, int sum, int nranks) {
  static std::map<std::tuple<int, int, int>, std::uint16_t> known;
  const auto key = std::make_tuple(format.exponent_bits, sum, nranks);
  if (const auto found = known.find(key); found != known.end()) return found->second;
  std::uint16_t best = 0;
  // |value - sum / nranks| is compared as |value * nranks - sum|, which is exact: both formats have few bits.
  double best_distance = std::fabs(format.value(0) * nranks - sum);
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const double value = format.value(bits);
    if (!std::isfinite(value) || bits == 0x8000) continue;
    const double distance = std::fabs(value * nranks - sum);
    if (distance < best_distance || (distance == best_distance && bits % 2 == 0 && best % 2 != 0)) {
      best = static_cast<std::uint16_t>(bits);
      best_distance = distance;
    }
  }
  return known[key] = best;
}

void storeVote(std::vector<std::byte>& buffer, std::size_t index, signcclDataType_t type, int vote) {
  constexpr std::array<std::uint16_t, 3> kHalfs = {0xbc00, 0x0000, 0x3c00};
  constexpr std::array<std::uint16_t, 3> kBfloats = {0xbf80, 0x0000, 0x3f80};
  const auto position = static_cast<std::size_t>(vote + 1);
  switch (type) {
    case signcclFloat32:
      return store(buffer, index, static_cast<float>(vote));
    case signcclFloat64:
      return store(buffer, index, static_cast<double>(vote));
    case signcclFloat16:
      return store(buffer, index, kHalfs[position]);
    case signcclBfloat16:
      return store(buffer, index, kBfloats[position]);
    case signcclInt8:
      return store(buffer, index, static_cast<std::int8_t>(vote));
    case signcclBits:
      if (vote > 0) buffer[index / 8] |= std::byte{1} << (index % 8);
      return;
    default:
      throw std::logic_error("no recvtype of a vote");
  }
}

void storeMean(std::vector<std::byte>& buffer, std::size_t index, signcclDataType_t type, int sum, int nranks) {
  switch (type) {
    case signcclFloat32:
      return store(buffer, index, static_cast<float>(sum) / static_cast<float>(nranks));
    case signcclFloat64:
      return store(buffer, index, static_cast<double>(sum) / nranks);
    case signcclFloat16:
      return store(buffer, index, nearest(kHalf, sum, nranks));
    case signcclBfloat16:
      return store(buffer, index, nearest(kBfloat, sum, nranks));
    case signcclInt8:
      return store(buffer, index, static_cast<std::int8_t>(sum));
    case signcclInt16:
      return store(buffer, index, static_cast<std::int16_t>(sum));
    case signcclInt32:
      return store(buffer, index, sum);
    default:
      throw std::logic_error("no recvtype of an average");
  }
}

int resolveTie(int tie, std::size_t index, std::uint64_t call) {
  switch (tie) {
    case signcclTieZero:
      return 0;
    case signcclTiePositive:
      return 1;
    case signcclTieNegative:
      return -1;
    default:
      return (index + call) % 2 == 0 ? 1 : -1;
  }
}

template <typename T>
void fill(std::vector<std::byte>& buffer, std::size_t count, std::mt19937_64& random, const std::vector<T>& special) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t bits = random();
    store(buffer, i, bits % 4 == 0 ? special[(bits >> 8) % special.size()] : static_cast<T>(bits >> 3));
  }
}

}  // namespace

std::string Case::name() const {
  return std::string(op == Op::kVote ? "vote" : "avg") + " sendtype " + std::to_string(sendtype) + " recvtype " +
         std::to_string(recvtype) + " zero " + std::to_string(zero) + " tie " + std::to_string(tie);
}

std::size_t bufferBytes(signcclDataType_t type, std::size_t count) {
  switch (type) {
    case signcclInt8:
      return count;
    case signcclFloat16:
    case signcclBfloat16:
    case signcclInt16:
      return 2 * count;
    case signcclFloat32:
    case signcclInt32:
      return 4 * count;
    case signcclFloat64:
      return 8 * count;
    case signcclBits:
      return (count + 63) / 64 * 8;
  }
  throw std::logic_error("unknown type");
}

int signOf(signcclDataType_t type, const std::byte* buffer, std::size_t index, int zero_rule) {
  double value = 0;
  switch (type) {
    case signcclFloat32:
      value = static_cast<double>(load<float>(buffer, index));
      break;
    case signcclFloat64:
      value = load<double>(buffer, index);
      break;
    case signcclFloat16:
      value = kHalf.value(load<std::uint16_t>(buffer, index));
      break;
    case signcclBfloat16:
      value = kBfloat.value(load<std::uint16_t>(buffer, index));
      break;
    case signcclInt8:
      value = load<std::int8_t>(buffer, index);
      break;
    case signcclBits:
      return (buffer[index / 8] >> (index % 8) & std::byte{1}) != std::byte{0} ? 1 : -1;
    default:
      throw std::logic_error("no sendtype");
  }
  if (zero_rule == signcclZeroBinary) return value < 0 ? -1 : 1;
  return value < 0 ? -1 : value > 0 ? 1 : 0;
}

std::vector<std::byte> makeInput(signcclDataType_t type, std::size_t count, std::uint64_t seed) {
  std::vector<std::byte> buffer(bufferBytes(type, count));
  std::mt19937_64 random(seed * 0x9e3779b97f4a7c15U + count);
  switch (type) {
    case signcclFloat32:
      fill<std::uint32_t>(buffer, count, random,
                          {0, 0x80000000, 1, 0x80000001, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001,
                           0xff800001, 0x007fffff, 0x807fffff, 0x3f800000, 0xbf800000, 0x7fffffff, 0xffffffff});
      break;
    case signcclFloat64:
      fill<std::uint64_t>(
          buffer, count, random,
          {0, 1ULL << 63, 1, (1ULL << 63) + 1, 0x7ff0ULL << 48, 0xfff0ULL << 48, 0x7ff8ULL << 48, 0xfff8ULL << 48,
           (0x7ff0ULL << 48) + 1, (0xfff0ULL << 48) + 1, 0x3ff0ULL << 48, 0xbff0ULL << 48});
      break;
    case signcclFloat16:
      fill<std::uint16_t>(buffer, count, random,
                          {0, 0x8000, 1, 0x8001, 0x7c00, 0xfc00, 0x7e00, 0xfe00, 0x7c01, 0xfc01, 0x3c00, 0xbc00});
      break;
    case signcclBfloat16:
      fill<std::uint16_t>(buffer, count, random,
                          {0, 0x8000, 1, 0x8001, 0x7f80, 0xff80, 0x7fc0, 0xffc0, 0x7f81, 0xff81, 0x3f80, 0xbf80});
      break;
    case signcclInt8:
      fill<std::uint8_t>(buffer, count, random, {0, 1, 0xff, 0x7f, 0x80});
      break;
    case signcclBits:
      fill<std::uint64_t>(buffer, buffer.size() / 8, random, {0, ~0ULL});
      break;
    default:
      throw std::logic_error("no sendtype");
  }
  return buffer;
}

std::vector<std::byte> expectedResult(const Case& tested, const std::vector<std::vector<std::byte>>& inputs,
                                      std::size_t count, std::uint64_t call) {
  std::vector<std::byte> result(bufferBytes(tested.recvtype, count));
  const int nranks = static_cast<int>(inputs.size());
  for (std::size_t i = 0; i < count; ++i) {
    int sum = 0;
    for (const auto& input : inputs) sum += signOf(tested.sendtype, input.data(), i, tested.zero);
    if (tested.op == Op::kAvg) {
      storeMean(result, i, tested.recvtype, sum, nranks);
    } else {
      const int vote = sum > 0 ? 1 : sum < 0 ? -1 : resolveTie(tested.tie, i, call);
      storeVote(result, i, tested.recvtype, vote);
    }
  }
  return result;
}

}  // namespace signccl::test
