// SPDX-License-Identifier: Apache-2.0
// What signcclAllReduceSum() means: sums formed one rank after the other, in the type itself, as a program would that
// has no SignCCL; and values that signs do not stand for.
#ifndef SIGNCCL_TESTS_SUPPORT_SUM_REFERENCE_H_
#define SIGNCCL_TESTS_SUPPORT_SUM_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "kernels/kernels.h"

namespace signccl {

/// Types that a sum takes.
std::span<const ElementType> sumTypes();

/// Writes a whole number as element `index`. It must be one that the type holds exactly.
void putNumber(ElementType type, std::int64_t number, std::byte* elements, std::size_t index);

/// Writes a bit pattern as element `index`.
void putPattern(ElementType type, std::uint64_t pattern, std::byte* elements, std::size_t index);

/// Writes `count` elements at random: -1 and +1, and also 0 if `has_zeros`.
void fillSigns(ElementType type, std::size_t count, bool has_zeros, std::mt19937_64& random, std::byte* elements);

/// The sums of the elements of all ranks, which are -1, 0 and +1. inputs[r]: the elements of rank r.
std::vector<std::byte> referenceSum(ElementType type, std::size_t count, std::span<const std::byte* const> inputs);

/// A value that no zero rule fits.
struct StrangeValue {
  std::uint64_t pattern = 0;
  double value = 0;
};
std::vector<StrangeValue> strangeValues(ElementType type);

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_SUM_REFERENCE_H_
