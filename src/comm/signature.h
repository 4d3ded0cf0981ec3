// SPDX-License-Identifier: Apache-2.0
// What a rank is about to exchange, in a form that ranks compare.
#ifndef SIGNCCL_COMM_SIGNATURE_H_
#define SIGNCCL_COMM_SIGNATURE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "exec/batch.h"

namespace signccl {

/// What ranks compare of a source or a sink.
struct ComparedEnd {
  std::uint64_t digest = 0;  ///< differs where the ends differ in anything that all ranks must have alike
  /// For messages: such as "float32", or, in a step, a list such as "gradient type=float32, beta1=0.9".
  std::string name;

  friend bool operator==(const ComparedEnd&, const ComparedEnd&) = default;
};

/// The part of a collective call that all ranks must agree on, apart from what the calls of an exchange share.
struct CallSignature {
  std::uint64_t count = 0;
  std::uint64_t number = 0;  ///< of the call in its communicator, which keys random ties
  ComparedEnd source = {};
  ComparedEnd sink = {};

  friend bool operator==(const CallSignature&, const CallSignature&) = default;
};

/// Makes `signature` that of a segment. Cheap where it was that of a segment with the same ends before.
void assignSignature(CallSignature& signature, const Segment& segment);

/// ExchangeSignature::first_tensor of what is no step.
inline constexpr std::int64_t kNoStep = -1;

/// Who carries the votes from rank to rank. kNcclGraph: NCCL in the replays of a CUDA graph into which the call is
/// captured.
enum class Carrier : std::uint8_t { kTransport, kNccl, kNcclGraph };

struct ExchangeSignature {
  SignOp op = SignOp::kVote;
  int votes_per_rank = 1;
  TieRule tie = TieRule::kRandom;  ///< the same for every average
  Carrier carrier = Carrier::kTransport;
  /// In a step of an optimizer the calls are its tensors from this one on.
  std::int64_t first_tensor = kNoStep;
  std::vector<CallSignature> calls;

  friend bool operator==(const ExchangeSignature&, const ExchangeSignature&) = default;

  /// A number that differs if signatures differ, except in one case of 2^64. The same on all machines.
  [[nodiscard]] std::uint64_t digest() const;
};

/// Describes the difference of two signatures, which must not be equal, e.g. "count is 5 on rank 0 and 6 on rank 2".
std::string describeDifference(const ExchangeSignature& a, Rank rank_a, const ExchangeSignature& b, Rank rank_b);

/// As bytes, which are equal exactly if the signatures are; docs/wire_format.md. They are put in `memory`, so that
/// whoever encodes often need not allocate.
std::string encode(const ExchangeSignature& signature, std::string memory = {});

/// Takes any bytes and throws Error with signcclRemoteError for those that encode() does not make.
ExchangeSignature decodeSignature(std::string_view bytes);

/// describeDifference() of encoded signatures, which may be any bytes.
std::string describeEncoded(const std::string& a, Rank rank_a, const std::string& b, Rank rank_b);

}  // namespace signccl

#endif  // SIGNCCL_COMM_SIGNATURE_H_
