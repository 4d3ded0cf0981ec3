// SPDX-License-Identifier: Apache-2.0
// Checks what a user passes to a collective and turns it into our types.
#ifndef SIGNCCL_API_ARGUMENTS_H_
#define SIGNCCL_API_ARGUMENTS_H_

#include <optional>

#include "api/stream_place.h"
#include "api/sum_call.h"
#include "comm/communicator.h"
#include "signccl/signccl.h"

namespace signccl {

/// The arguments of a collective as they came.
struct CollectiveArguments {
  SignOp op = SignOp::kVote;
  const void* sendbuff = nullptr;
  void* recvbuff = nullptr;
  std::size_t count = 0;
  signcclDataType_t sendtype = signcclFloat32;
  signcclDataType_t recvtype = signcclFloat32;
  const signcclSignConfig_t* config = nullptr;
  signcclStream_t stream = nullptr;
  signcclSumOutcome_t* outcome = nullptr;  ///< of a sum
};

/// Arguments that have passed all checks.
struct CheckedCollective {
  ExchangeRules rules;
  Segment segment;
  StreamPlace place;
  std::optional<SumCall> sum;
};

/// The rules of an exchange from the fields of a config, which may be undefined. Throws as below.
ExchangeRules checkRules(SignOp op, int zero_rule, int tie_rule);

/// Throws signcclInvalidArgument unless the reserved field of a config is as its initializer leaves it, or 0.
void checkReserved(int reserved);

/// Throws signcclInvalidArgument, with the value that is wrong and what was expected.
CheckedCollective checkCollective(const CollectiveArguments& arguments, int nranks);

}  // namespace signccl

#endif  // SIGNCCL_API_ARGUMENTS_H_
