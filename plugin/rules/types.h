// SPDX-License-Identifier: Apache-2.0
// The words of a rules file as types, and their names.
#ifndef SIGNCCL_PLUGIN_RULES_TYPES_H_
#define SIGNCCL_PLUGIN_RULES_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

namespace signccl::rules {

/// The element types that rules can name. Calls with others, such as integers other than int8, match no rule.
enum class ElementType : std::uint8_t { kInt8, kFloat16, kBfloat16, kFloat32, kFloat64 };

/// The reductions that rules can name. MPI has kSum alone.
enum class ReduceOp : std::uint8_t { kSum, kAvg };

enum class Action : std::uint8_t {
  kForward,  ///< the call goes to the library that it was meant for
  kSignSum,  ///< the sum of signs; lossless: forwarded where an element is no sign
  kVote,     ///< the majority of the elements' signs; lossy
  kAvg,      ///< the mean of the elements' signs; lossy
};

/// As signcclZeroRule_t.
enum class ZeroRule : std::uint8_t { kBinary, kTernary };

/// As signcclTieRule_t.
enum class TieRule : std::uint8_t { kZero, kPositive, kNegative, kRandom };

/// SIGNCCL_INTERPOSE.
enum class Mode : std::uint8_t {
  kOn,
  kOff,  ///< forward everything
  kDry,  ///< forward everything, and report what the rules would have taken
};

/// Names in the order of the enumerators.
std::span<const std::string_view> namesOf(ElementType);
std::span<const std::string_view> namesOf(ReduceOp);
std::span<const std::string_view> namesOf(Action);
std::span<const std::string_view> namesOf(ZeroRule);
std::span<const std::string_view> namesOf(TieRule);
std::span<const std::string_view> namesOf(Mode);

template <typename Enum>
std::string_view nameOf(Enum value) {
  return namesOf(value)[static_cast<std::size_t>(value)];
}

/// Bytes of one element.
constexpr std::size_t sizeOf(ElementType type) {
  switch (type) {
    case ElementType::kInt8:
      return 1;
    case ElementType::kFloat16:
    case ElementType::kBfloat16:
      return 2;
    case ElementType::kFloat32:
      return 4;
    case ElementType::kFloat64:
      return 8;
  }
  return 0;
}

/// A set of enumerators.
template <typename Enum>
class SetOf {
 public:
  constexpr SetOf() = default;
  constexpr SetOf(std::initializer_list<Enum> values) {
    for (const Enum value : values) insert(value);
  }

  /// All that there are.
  static SetOf all() {
    SetOf set;
    set.bits_ = (1U << namesOf(Enum{}).size()) - 1;
    return set;
  }

  constexpr void insert(Enum value) { bits_ |= 1U << static_cast<unsigned>(value); }
  [[nodiscard]] constexpr bool contains(Enum value) const { return (bits_ >> static_cast<unsigned>(value) & 1U) != 0; }
  [[nodiscard]] constexpr unsigned bits() const { return bits_; }
  constexpr bool operator==(const SetOf&) const = default;

 private:
  unsigned bits_ = 0;
};

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_TYPES_H_
