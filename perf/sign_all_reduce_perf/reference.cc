// SPDX-License-Identifier: Apache-2.0
// An input element is one of 256 kinds, chosen by a hash of (seed, rank, index). A table gives the bits of each kind in
// the type that is sent, a second one its sign; so filling and summing cost a hash and a look-up per element.
#include "sign_all_reduce_perf/reference.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "sign_all_reduce_perf/element_types.h"
#include "sign_all_reduce_perf/float_format.h"

namespace signccl::perf {
namespace {

constexpr std::size_t kKinds = 256;
constexpr std::size_t kBlock = 4096;  // elements summed at a time; a multiple of 64

std::uint32_t mix(std::uint32_t x) {  // the finalizer of MurmurHash3 (Appleby, public domain)
  x ^= x >> 16;
  x *= 0x85ebca6bU;
  x ^= x >> 13;
  x *= 0xc2b2ae35U;
  x ^= x >> 16;
  return x;
}

/// Chooses the kinds of one rank's elements.
class KindHash {
 public:
  KindHash(int rank, std::uint32_t seed) : key_(mix(mix(seed + 0x9e3779b9U) + static_cast<std::uint32_t>(rank))) {}

  [[nodiscard]] std::size_t operator()(std::size_t index) const {
    const auto low = static_cast<std::uint32_t>(index);
    const auto high = static_cast<std::uint32_t>(std::uint64_t{index} >> 32);
    return mix((low ^ key_) + high * 0x9e3779b9U) >> 24;
  }

 private:
  std::uint32_t key_;
};

/// Null for types that are no floating-point types.
const FloatFormat* floatFormat(signcclDataType_t type) {
  switch (type) {
    case signcclFloat16:
      return &kHalf;
    case signcclBfloat16:
      return &kBfloat16;
    case signcclFloat32:
      return &kFloat;
    case signcclFloat64:
      return &kDouble;
    case signcclInt8:
    case signcclInt16:
    case signcclInt32:
    case signcclBits:
      return nullptr;
  }
  return nullptr;
}

/// Odd kinds are negative. Of 16 kinds one is a zero and one is another special value.
std::uint64_t floatOfKind(const FloatFormat& format, std::size_t kind) {
  const bool negative = kind % 2 != 0;
  const std::uint64_t pattern = kind / 16;
  if (kind % 16 < 2) return format.pack(negative, 0, 0);
  if (kind % 16 >= 4) {
    const auto exponent = static_cast<std::uint64_t>(format.bias()) + pattern % 8 - 4;
    return format.pack(negative, exponent, (kind * 0x9e3779b97f4a7c15U) & format.mantissaMask());
  }
  switch (pattern % 8) {
    case 0:
      return format.pack(negative, format.exponentMask(), std::uint64_t{1} << (format.mantissa_bits - 1));  // quiet NaN
    case 1:
      return format.pack(negative, format.exponentMask(), 1);  // signalling NaN
    case 2:
      return format.pack(negative, format.exponentMask(), 0);  // infinity
    case 3:
      return format.pack(negative, 0, 1);  // smallest subnormal
    case 4:
      return format.pack(negative, 0, format.mantissaMask());  // largest subnormal
    case 5:
      return format.pack(negative, 1, 0);  // smallest normal
    case 6:
      return format.pack(negative, format.exponentMask() - 1, format.mantissaMask());  // largest finite
    default:
      return format.pack(negative, static_cast<std::uint64_t>(format.bias()), 0);  // one
  }
}

/// Of int8, -128 to 127 with some more zeros.
std::uint64_t int8OfKind(std::size_t kind) { return kind % 16 == 2 ? 0 : static_cast<std::uint8_t>(kind); }

/// -1 for odd kinds and 1 for even ones; 0 for two of 16 kinds if there are zeros.
std::uint64_t signOfKind(signcclDataType_t type, InputValues values, std::size_t kind) {
  const bool is_zero = values == InputValues::kSignsAndZeros && kind % 16 < 2;
  const int value = is_zero ? 0 : (kind % 2 != 0 ? -1 : 1);
  const FloatFormat* const format = floatFormat(type);
  return format == nullptr ? static_cast<std::uint8_t>(value) : encode(*format, value);
}

std::uint64_t bitsOfKind(signcclDataType_t type, InputValues values, std::size_t kind) {
  if (type == signcclBits) return (kind + 1) % 2;
  if (values != InputValues::kAny) return signOfKind(type, values, kind);
  if (type == signcclInt8) return int8OfKind(kind);
  return floatOfKind(*floatFormat(type), kind);
}

double valueOfKind(signcclDataType_t type, InputValues values, std::size_t kind) {
  const std::uint64_t bits = bitsOfKind(type, values, kind);
  if (type == signcclBits) return bits != 0 ? 1 : -1;
  if (type == signcclInt8) return static_cast<std::int8_t>(bits);
  return decode(*floatFormat(type), bits);
}

std::int8_t signOf(double x, signcclZeroRule_t rule) {
  if (x < 0) return -1;
  if (x > 0) return 1;
  return rule == signcclZeroBinary ? 1 : 0;
}

/// The rule `random` of docs/semantics.md.
bool tieIsPositive(std::uint64_t sequence, std::uint64_t index) {
  std::uint64_t key = sequence + 0x9E3779B97F4A7C15;
  key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9;
  key = (key ^ (key >> 27)) * 0x94D049BB133111EB;
  key ^= key >> 31;
  constexpr std::uint64_t kLow = 0xFFFFFFFF;
  std::uint64_t bits = index / 64 * 0x9E3779B97F4A7C15 ^ key;
  bits ^= std::rotl((bits & kLow) * (bits >> 32), 32);
  bits ^= (bits & kLow) * 0xD2511F52;
  return (bits >> (index % 64) & 1) != 0;
}

int voteOf(int sum, signcclTieRule_t rule, bool random_tie_is_positive) {
  if (sum != 0) return sum > 0 ? 1 : -1;
  switch (rule) {
    case signcclTieZero:
      return 0;
    case signcclTiePositive:
      return 1;
    case signcclTieNegative:
      return -1;
    case signcclTieRandom:
      return random_tie_is_positive ? 1 : -1;
  }
  return 0;
}

std::uint64_t encodeResult(const CheckedCall& call, int sum, bool random_tie_is_positive) {
  const bool is_vote = call.op == SignOp::kVote;
  const int number = is_vote ? voteOf(sum, call.tie_rule, random_tie_is_positive) : sum;
  if (call.recvtype == signcclBits) return number > 0 ? 1 : 0;
  const FloatFormat* format = floatFormat(call.recvtype);
  // Integers are stored in two's complement; countWrong looks at the width of the type.
  if (format == nullptr) return static_cast<std::uint64_t>(number);
  // The quotient is rounded twice, to double and to the type. With operands of 16 bits it is never close enough to the
  // middle between two values of the type for that to matter.
  return encode(*format, call.op == SignOp::kAvg ? static_cast<double>(number) / call.nranks : number);
}

template <typename T>
void fillElements(signcclDataType_t type, InputValues values, const KindHash& kind_of, std::size_t count,
                  std::byte* buffer) {
  std::array<T, kKinds> bits_of_kind{};
  for (std::size_t kind = 0; kind < kKinds; ++kind) bits_of_kind[kind] = static_cast<T>(bitsOfKind(type, values, kind));
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(buffer + i * sizeof(T), &bits_of_kind[kind_of(i)], sizeof(T));
  }
}

std::uint64_t loadWord(const std::byte* buffer, std::size_t word) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, buffer + word * sizeof(bits), sizeof(bits));
  return bits;
}

void fillBits(const KindHash& kind_of, std::size_t count, std::byte* buffer) {
  for (std::size_t first = 0; first < count; first += 64) {
    std::uint64_t word = 0;
    for (std::size_t bit = 0; bit < 64; ++bit) {
      const bool set = first + bit >= count || bitsOfKind(signcclBits, InputValues::kAny, kind_of(first + bit)) != 0;
      word |= std::uint64_t{set} << bit;
    }
    std::memcpy(buffer + first / 8, &word, sizeof(word));
  }
}

using Expected = std::array<std::vector<std::uint64_t>, 2>;

/// The elements from `first` on, one for each of `sums`, of one output.
struct Block {
  const std::byte* output;
  std::size_t first;
  std::span<const std::int32_t> sums;
  std::uint64_t sequence;
};

std::uint64_t expectedElement(const Expected& expected, const Block& block, std::size_t i) {
  const bool is_positive = block.sums[i] == 0 && tieIsPositive(block.sequence, block.first + i);
  const std::vector<std::uint64_t>& of_sum = expected[is_positive ? 1 : 0];
  const auto nranks = static_cast<std::ptrdiff_t>(of_sum.size() / 2);
  return of_sum[static_cast<std::size_t>(nranks + block.sums[i])];
}

template <typename T>
std::size_t wrongElements(const Expected& expected, const Block& block) {
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < block.sums.size(); ++i) {
    T actual{};
    std::memcpy(&actual, block.output + (block.first + i) * sizeof(T), sizeof(T));
    wrong += actual != static_cast<T>(expectedElement(expected, block, i)) ? 1 : 0;
  }
  return wrong;
}

std::size_t wrongBits(const Expected& expected, const Block& block) {
  std::size_t wrong = 0;
  const std::size_t nbits = (block.sums.size() + 63) / 64 * 64;
  for (std::size_t i = 0; i < nbits; ++i) {
    const std::uint64_t actual = loadWord(block.output, (block.first + i) / 64) >> ((block.first + i) % 64) & 1;
    const std::uint64_t wanted = i < block.sums.size() ? expectedElement(expected, block, i) : 0;
    wrong += actual != wanted ? 1 : 0;
  }
  return wrong;
}

std::size_t wrongInBlock(signcclDataType_t type, const Expected& expected, const Block& block) {
  switch (bitsPerElement(type)) {
    case 1:
      return wrongBits(expected, block);
    case 8:
      return wrongElements<std::uint8_t>(expected, block);
    case 16:
      return wrongElements<std::uint16_t>(expected, block);
    case 32:
      return wrongElements<std::uint32_t>(expected, block);
    default:
      return wrongElements<std::uint64_t>(expected, block);
  }
}

}  // namespace

InputValues inputValuesOf(SignOp op, signcclZeroRule_t zero_rule) {
  if (op != SignOp::kSum) return InputValues::kAny;
  return zero_rule == signcclZeroBinary ? InputValues::kSigns : InputValues::kSignsAndZeros;
}

void fillInput(signcclDataType_t type, InputValues values, int rank, std::uint32_t seed, std::size_t count,
               std::byte* buffer) {
  const KindHash kind_of(rank, seed);
  switch (bitsPerElement(type)) {
    case 1:
      return fillBits(kind_of, count, buffer);
    case 8:
      return fillElements<std::uint8_t>(type, values, kind_of, count, buffer);
    case 16:
      return fillElements<std::uint16_t>(type, values, kind_of, count, buffer);
    case 32:
      return fillElements<std::uint32_t>(type, values, kind_of, count, buffer);
    default:
      return fillElements<std::uint64_t>(type, values, kind_of, count, buffer);
  }
}

Reference::Reference(const CheckedCall& call) : call_(call), sign_of_kind_{} {
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    const double value = valueOfKind(call.sendtype, inputValuesOf(call.op, call.zero_rule), kind);
    sign_of_kind_[kind] = signOf(value, call.zero_rule);
  }
  for (const bool is_positive : {false, true}) {
    for (int sum = -call.nranks; sum <= call.nranks; ++sum) {
      expected_[is_positive ? 1 : 0].push_back(encodeResult(call, sum, is_positive));
    }
  }
}

void Reference::addSigns(std::size_t first, std::span<std::int32_t> sums) const {
  for (int rank = 0; rank < call_.nranks; ++rank) {
    const KindHash kind_of(rank, call_.seed);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += sign_of_kind_[kind_of(first + i)];
  }
}

std::size_t Reference::countWrong(std::span<const std::byte* const> outputs, std::size_t first,
                                  std::size_t last) const {
  std::size_t wrong = 0;
  std::array<std::int32_t, kBlock> sums{};
  for (std::size_t begin = first; begin < last; begin += kBlock) {
    const std::span<std::int32_t> block_sums(sums.data(), std::min(kBlock, last - begin));
    std::fill(block_sums.begin(), block_sums.end(), 0);
    addSigns(begin, block_sums);
    for (const std::byte* output : outputs) {
      wrong += wrongInBlock(call_.recvtype, expected_, {output, begin, block_sums, call_.sequence});
    }
  }
  return wrong;
}

}  // namespace signccl::perf
