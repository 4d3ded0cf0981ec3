// SPDX-License-Identifier: Apache-2.0
// What the collectives mean, element by element, written from docs/semantics.md alone: no kernels, tables or schedules.
#ifndef SIGNCCL_TESTS_SUPPORT_SIGN_REFERENCE_H_
#define SIGNCCL_TESTS_SUPPORT_SIGN_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "exec/batch.h"

namespace signccl {

/// One call of a collective.
struct ReferenceCall {
  SignOp op = SignOp::kVote;
  bool is_ternary = false;         ///< zeros and NaNs abstain
  TieRule tie = TieRule::kRandom;  ///< votes only
  std::uint64_t call = 0;          ///< number of the call in its communicator
  std::size_t count = 0;           ///< elements
  ElementType sendtype = ElementType::kFloat32;
  ElementType recvtype = ElementType::kFloat32;
};

/// Sign of an element; -1, 0 or 1, never 0 if not `is_ternary`.
int signOfElement(ElementType type, const std::byte* elements, std::size_t index, bool is_ternary);

/// The bytes of the receive buffer, the same on every rank. inputs[r]: the send buffer of rank r.
std::vector<std::byte> referenceResult(const ReferenceCall& call, std::span<const std::byte* const> inputs);

/// Writes `count` elements, of which many are zeros, NaNs, infinities and subnormals of both signs.
void fillElements(ElementType type, std::size_t count, std::mt19937_64& random, std::byte* elements);

/// Types that the send buffer of any collective may have, and the receive buffer of an operation.
std::span<const ElementType> sendTypes();
std::span<const ElementType> recvTypes(SignOp op, TieRule tie);

}  // namespace signccl

#endif  // SIGNCCL_TESTS_SUPPORT_SIGN_REFERENCE_H_
