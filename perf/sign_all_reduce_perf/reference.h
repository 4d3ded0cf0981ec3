// SPDX-License-Identifier: Apache-2.0
// What a collective has to give: inputs that every rank can compute for all ranks, and results straight from the
// definition in docs/semantics.md, element by element. Independent of the library.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_REFERENCE_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_REFERENCE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sign_all_reduce_perf/options.h"
#include "signccl/signccl.h"

namespace signccl::perf {

/// One collective call, known alike on every rank.
struct CheckedCall {
  SignOp op = SignOp::kVote;
  signcclDataType_t sendtype = signcclFloat32;
  signcclDataType_t recvtype = signcclFloat32;
  signcclZeroRule_t zero_rule = signcclZeroBinary;
  signcclTieRule_t tie_rule = signcclTieRandom;
  int nranks = 1;
  std::size_t count = 0;
  std::uint64_t sequence = 0;  ///< the call's number on its communicator
  std::uint32_t seed = 0;      ///< which inputs
};

/// What inputs hold: any values, for votes and averages; or what has a sum.
enum class InputValues : std::uint8_t { kAny, kSigns, kSignsAndZeros };

InputValues inputValuesOf(SignOp op, signcclZeroRule_t zero_rule);

/// Writes rank's input: `count` elements of `type`, packed bits in whole words with ones as padding, which the library
/// has to ignore. Signs are random; of any values the float types hold zeros, minus zeros, NaN of both signs,
/// infinities and subnormals too.
void fillInput(signcclDataType_t type, InputValues values, int rank, std::uint32_t seed, std::size_t count,
               std::byte* buffer);

/// Compares results with the definition. Const calls from several threads at once are allowed.
class Reference {
 public:
  explicit Reference(const CheckedCall& call);

  /// Number of wrong elements among [first, last) over all of `outputs`, each a buffer of `count` elements of recvtype.
  /// `first` is a multiple of 64. With last == count, padding bits of packed results that are not 0 count as well.
  [[nodiscard]] std::size_t countWrong(std::span<const std::byte* const> outputs, std::size_t first,
                                       std::size_t last) const;

 private:
  void addSigns(std::size_t first, std::span<std::int32_t> sums) const;

  CheckedCall call_;
  std::array<std::int8_t, 256> sign_of_kind_;
  // expected_[is_positive][sum + nranks]: the bits of the result; is_positive is what the rule `random` makes of a tie.
  std::array<std::vector<std::uint64_t>, 2> expected_;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_REFERENCE_H_
