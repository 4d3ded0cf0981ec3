// SPDX-License-Identifier: Apache-2.0
// The tie rule `random` once more, written from docs/semantics.md alone.
#ifndef SIGNCCL_TESTS_SUPPORT_RANDOM_TIE_H_
#define SIGNCCL_TESTS_SUPPORT_RANDOM_TIE_H_

#include <cstdint>

namespace signccl {

/// key(call).
constexpr std::uint64_t tieKeyOf(std::uint64_t call) {
  std::uint64_t z = call + 0x9E3779B97F4A7C15U;
  z = (z ^ z / (std::uint64_t{1} << 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ z / (std::uint64_t{1} << 27)) * 0x94D049BB133111EBU;
  return z ^ z / (std::uint64_t{1} << 31);
}

/// T(call, word): element 64 word + j has bit j.
constexpr std::uint64_t tieWordOf(std::uint64_t call, std::uint64_t word) {
  const std::uint64_t x = word * 0x9E3779B97F4A7C15U ^ tieKeyOf(call);
  const std::uint64_t product = std::uint64_t{static_cast<std::uint32_t>(x)} * static_cast<std::uint32_t>(x >> 32);
  const auto low = static_cast<std::uint32_t>(x ^ product >> 32);
  const auto high = static_cast<std::uint32_t>(x >> 32 ^ product);
  return (std::uint64_t{high} << 32 | low) ^ std::uint64_t{low} * 0xD2511F52U;
}

constexpr bool randomTieIsPositive(std::uint64_t call, std::uint64_t index) {
  return (tieWordOf(call, index / 64) >> index % 64 & 1) != 0;
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_RANDOM_TIE_H_
