// The meaning of the two collectives, element by element and independent of the library: what every test compares with.
// docs/semantics.md is the text that this is written from.
#ifndef SIGNCCL_TESTS_API_ORACLE_H_
#define SIGNCCL_TESTS_API_ORACLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "signccl/signccl.h"

namespace signccl::test {

enum class Op : std::uint8_t { kVote, kAvg };

/// One collective, without its buffers.
struct Case {
  Op op = Op::kVote;
  signcclDataType_t sendtype = signcclFloat32;
  signcclDataType_t recvtype = signcclFloat32;
  int zero = signcclZeroBinary;
  int tie = signcclTieAlternate;

  [[nodiscard]] std::string name() const;
};

/// Bytes of a buffer of `count` elements.
std::size_t bufferBytes(signcclDataType_t type, std::size_t count);

/// -1, 0 or +1: the sign of element `index` of a buffer.
int signOf(signcclDataType_t type, const std::byte* buffer, std::size_t index, int zero_rule);

/// A send buffer of `count` elements for one rank: random values with NaN (quiet, signalling, negative), infinities,
/// denormals, zeros and minus zeros among them, the same for equal seeds. Padding bits of packed signs are set at
/// random.
std::vector<std::byte> makeInput(signcclDataType_t type, std::size_t count, std::uint64_t seed);

/// The result that every rank must get, bit for bit. `call` is the sequence number of the collective.
std::vector<std::byte> expectedResult(const Case& tested, const std::vector<std::vector<std::byte>>& inputs,
                                      std::size_t count, std::uint64_t call);

}  // namespace signccl::test

#endif  // SIGNCCL_TESTS_API_ORACLE_H_
