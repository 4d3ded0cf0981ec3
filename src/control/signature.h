// What a rank is about to exchange, in a form that ranks compare.
#ifndef SIGNCCL_CONTROL_SIGNATURE_H_
#define SIGNCCL_CONTROL_SIGNATURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/types.h"
#include "kernels/kernels.h"

namespace signccl {

/// The part of a collective call that all ranks must agree on, apart from what the calls of an exchange share.
struct CallSignature {
  std::uint64_t count = 0;
  ElementType sendtype = ElementType::kFloat32;
  ElementType recvtype = ElementType::kFloat32;

  friend bool operator==(const CallSignature&, const CallSignature&) = default;
};

struct ExchangeSignature {
  SignOp op = SignOp::kVote;
  int votes_per_rank = 1;
  TieRule tie = TieRule::kRandom;  ///< the same for every average
  std::vector<CallSignature> calls;

  friend bool operator==(const ExchangeSignature&, const ExchangeSignature&) = default;

  /// A number that differs where signatures differ, but for one case in 2^64. The same on all machines.
  [[nodiscard]] std::uint64_t digest() const;
};

/// Name as in the public header, for messages: "random".
const char* tieRuleName(TieRule rule);

/// A sentence about how two signatures, which differ, differ, e.g. "count is 5 on rank 0 and 6 on rank 2".
std::string describeDifference(const ExchangeSignature& a, Rank rank_a, const ExchangeSignature& b, Rank rank_b);

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_SIGNATURE_H_
