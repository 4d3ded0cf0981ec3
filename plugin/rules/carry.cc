// SPDX-License-Identifier: Apache-2.0
#include "rules/carry.h"

#include <algorithm>
#include <bit>
#include <optional>

namespace signccl::rules {
namespace {

bool isPowerOfTwo(int ranks) { return std::has_single_bit(static_cast<unsigned>(ranks)); }

std::string beyondExact(ElementType type) {
  const std::string name(nameOf(type));
  return "the sum of signs in " + name + " is exact up to " + std::to_string(mostRanksOfSum(type)) + " ranks";
}

/// `call` has a type and an op.
std::string whySumNotCarried(const Call& call) {
  const ElementType type = *call.type;
  if (static_cast<std::uint64_t>(call.ranks) > mostRanksOfSum(type)) {
    return beyondExact(type) + ", and there are " + std::to_string(call.ranks);
  }
  if (*call.op == ReduceOp::kSum) return {};
  if (type == ElementType::kInt8) return "the mean of int8 is rounded by NCCL's own rule";
  if (!isPowerOfTwo(call.ranks)) {
    return "NCCL's mean is exact where the number of ranks is a power of two, and there are " +
           std::to_string(call.ranks);
  }
  return {};
}

/// Whether some number of ranks from `range` can carry such a call.
bool someRanksCarry(const Rule& rule, ElementType type, ReduceOp op) {
  Call call;
  call.type = type;
  call.op = op;
  // The fewest ranks, and the smallest power of two that is not less, are carried if any are.
  const std::uint64_t fewest = rule.match.ranks.min;
  for (const std::uint64_t ranks : {fewest, std::bit_ceil(fewest)}) {
    if (ranks > rule.match.ranks.max) continue;
    call.ranks = static_cast<int>(ranks);
    if (whyNotCarried(rule, call).empty()) return true;
  }
  return false;
}

}  // namespace

std::uint64_t mostRanksOfSum(ElementType type) {
  switch (type) {
    case ElementType::kInt8:
      return 127;
    case ElementType::kBfloat16:
      return 256;
    case ElementType::kFloat16:
      return 2048;
    case ElementType::kFloat32:
    case ElementType::kFloat64:
      return kMostRanks;
  }
  return 0;
}

std::string whyNotCarried(const Rule& rule, const Call& call) {
  if (!call.type || !call.op) return "the call has a type or an op that rules cannot name";
  switch (rule.action) {
    case Action::kForward:
    case Action::kVote:
      return {};
    case Action::kAvg:
      return *call.type == ElementType::kInt8 ? "int8 cannot hold the mean of signs" : "";
    case Action::kSignSum:
      return whySumNotCarried(call);
  }
  return {};
}

NeverCarried whyNeverCarried(const Rule& rule) {
  std::uint64_t most_ranks = 0;
  for (const ElementType type : {ElementType::kInt8, ElementType::kFloat16, ElementType::kBfloat16,
                                 ElementType::kFloat32, ElementType::kFloat64}) {
    if (!rule.match.types.contains(type)) continue;
    most_ranks = std::max(most_ranks, mostRanksOfSum(type));
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kAvg}) {
      if (rule.match.ops.contains(op) && someRanksCarry(rule, type, op)) return {};
    }
  }
  if (rule.action == Action::kAvg) return {"/match/type", "a floating type: int8 cannot hold the mean of signs"};
  if (rule.match.ranks.min > most_ranks) {
    return {"/match/ranks/min",
            std::to_string(most_ranks) + " or less, up to which the sums of signs in the rule's types are exact"};
  }
  return {"/match/op", "sum as well: of the means, those in a floating type by a power of two of ranks are exact"};
}

}  // namespace signccl::rules
