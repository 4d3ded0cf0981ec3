// SPDX-License-Identifier: Apache-2.0
#include "base/types.h"

namespace signccl {

const char* opName(SignOp op) {
  switch (op) {
    case SignOp::kVote:
      return "AllReduceVote";
    case SignOp::kAvg:
      return "AllReduceAvg";
    case SignOp::kSum:
      return "AllReduceSum";
  }
  return "unknown";
}

const char* shortOpName(SignOp op) {
  switch (op) {
    case SignOp::kVote:
      return "vote";
    case SignOp::kAvg:
      return "avg";
    case SignOp::kSum:
      return "sum";
  }
  return "unknown";
}

const char* tieRuleName(TieRule rule) {
  switch (rule) {
    case TieRule::kZero:
      return "zero";
    case TieRule::kPositive:
      return "positive";
    case TieRule::kNegative:
      return "negative";
    case TieRule::kRandom:
      return "random";
  }
  return "unknown";
}

}  // namespace signccl
