// SPDX-License-Identifier: Apache-2.0
// One collective as a user calls it, and what it must give: the reference of tests/support in terms of the C API.
#ifndef SIGNCCL_TESTS_API_CASE_H_
#define SIGNCCL_TESTS_API_CASE_H_

#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "signccl/signccl.h"
#include "support/sign_reference.h"

namespace signccl {

/// One collective, without its buffers.
struct Case {
  SignOp op = SignOp::kVote;
  signcclDataType_t sendtype = signcclFloat32;
  signcclDataType_t recvtype = signcclFloat32;
  int zero = signcclZeroBinary;
  int tie = signcclTieRandom;

  [[nodiscard]] std::string name() const {
    return std::string(op == SignOp::kVote ? "vote" : "avg") + " sendtype " + std::to_string(sendtype) + " recvtype " +
           std::to_string(recvtype) + " zero " + std::to_string(zero) + " tie " + std::to_string(tie);
  }
};

inline ElementType elementTypeOf(signcclDataType_t type) {
  switch (type) {
    case signcclInt8:
      return ElementType::kInt8;
    case signcclInt16:
      return ElementType::kInt16;
    case signcclInt32:
      return ElementType::kInt32;
    case signcclFloat16:
      return ElementType::kFloat16;
    case signcclFloat32:
      return ElementType::kFloat32;
    case signcclFloat64:
      return ElementType::kFloat64;
    case signcclBfloat16:
      return ElementType::kBFloat16;
    case signcclBits:
      return ElementType::kBits;
  }
  throw std::logic_error("unknown type");
}

inline TieRule tieRuleOf(int tie) {
  switch (tie) {
    case signcclTieZero:
      return TieRule::kZero;
    case signcclTiePositive:
      return TieRule::kPositive;
    case signcclTieNegative:
      return TieRule::kNegative;
    default:
      return TieRule::kRandom;
  }
}

inline std::size_t bufferBytes(signcclDataType_t type, std::size_t count) {
  return elementBytes(elementTypeOf(type), count);
}

/// A send buffer of `count` elements with special values among them, the same for equal seeds.
inline std::vector<std::byte> makeInput(signcclDataType_t type, std::size_t count, std::uint64_t seed) {
  std::vector<std::byte> buffer(bufferBytes(type, count));
  std::mt19937_64 random(seed);
  fillElements(elementTypeOf(type), count, random, buffer.data());
  return buffer;
}

/// The result that every rank must get, bit for bit. `call` is the sequence number of the collective.
inline std::vector<std::byte> expectedResult(const Case& tested, const std::vector<std::vector<std::byte>>& inputs,
                                             std::size_t count, std::uint64_t call) {
  std::vector<const std::byte*> elements;
  for (const auto& input : inputs) elements.push_back(input.data());
  return referenceResult({tested.op, tested.zero == signcclZeroTernary, tieRuleOf(tested.tie), call, count,
                          elementTypeOf(tested.sendtype), elementTypeOf(tested.recvtype)},
                         elements);
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_API_CASE_H_
