#include "control/signature.h"

#include "base/digest.h"

namespace signccl {
namespace {

const char* opName(SignOp op) { return op == SignOp::kVote ? "AllReduceVote" : "AllReduceAvg"; }

const char* zeroRuleName(int votes_per_rank) { return votes_per_rank == 1 ? "binary" : "ternary"; }

/// "what is X on rank a and Y on rank b"
std::string difference(const std::string& what, const std::string& on_a, Rank a, const std::string& on_b, Rank b) {
  return what + " is " + on_a + " on rank " + std::to_string(a) + " and " + on_b + " on rank " + std::to_string(b);
}

}  // namespace

std::uint64_t ExchangeSignature::digest() const {
  std::uint64_t digest = mix(static_cast<std::uint64_t>(op), static_cast<std::uint64_t>(votes_per_rank));
  digest = mix(digest, static_cast<std::uint64_t>(tie));
  for (const CallSignature& call : calls) {
    digest = mix(digest, call.count);
    digest = mix(digest, (static_cast<std::uint64_t>(call.sendtype) << 8U) | static_cast<std::uint64_t>(call.recvtype));
  }
  return digest;
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

std::string describeDifference(const ExchangeSignature& a, Rank rank_a, const ExchangeSignature& b, Rank rank_b) {
  const auto differ = [&](const std::string& what, const std::string& on_a, const std::string& on_b) {
    return difference(what, on_a, rank_a, on_b, rank_b);
  };
  if (a.op != b.op) return differ("the collective", opName(a.op), opName(b.op));
  if (a.calls.size() != b.calls.size()) {
    return differ("the number of collectives in the group", std::to_string(a.calls.size()),
                  std::to_string(b.calls.size()));
  }
  if (a.votes_per_rank != b.votes_per_rank) {
    return differ("the zero rule", zeroRuleName(a.votes_per_rank), zeroRuleName(b.votes_per_rank));
  }
  if (a.tie != b.tie) return differ("the tie rule", tieRuleName(a.tie), tieRuleName(b.tie));
  for (std::size_t i = 0; i < a.calls.size(); ++i) {
    const CallSignature& call_a = a.calls[i];
    const CallSignature& call_b = b.calls[i];
    const std::string where = a.calls.size() == 1 ? "" : " of call " + std::to_string(i) + " of the group";
    if (call_a.count != call_b.count) {
      return differ("count" + where, std::to_string(call_a.count), std::to_string(call_b.count));
    }
    if (call_a.sendtype != call_b.sendtype) {
      return differ("sendtype" + where, elementTypeName(call_a.sendtype), elementTypeName(call_b.sendtype));
    }
    if (call_a.recvtype != call_b.recvtype) {
      return differ("recvtype" + where, elementTypeName(call_a.recvtype), elementTypeName(call_b.recvtype));
    }
  }
  return "the calls do not differ";
}

}  // namespace signccl
