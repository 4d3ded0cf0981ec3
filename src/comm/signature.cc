#include "comm/signature.h"

#include <bit>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/failure.h"
#include "control/wire.h"

namespace signccl {
namespace {

/// Count, number, and two ends with empty names.
constexpr std::size_t kLeastCallBytes = 4 * sizeof(std::uint64_t) + 2 * sizeof(std::uint32_t);

const char* zeroRuleName(int votes_per_rank) { return votes_per_rank == 1 ? "binary" : "ternary"; }

}  // namespace

void assignSignature(CallSignature& signature, const Segment& segment) {
  const auto assign = [](ComparedEnd& to, const EndSignature& from) {
    if (to.digest == from.digest && !to.name.empty()) return;
    to.digest = from.digest;
    to.name = from.name;
  };
  signature.count = segment.count;
  signature.number = segment.call;
  assign(signature.source, segment.source.kind->signature(segment.source));
  assign(signature.sink, segment.sink.kind->signature(segment.sink));
}

/// Every call of a small exchange waits for this, so few numbers are mixed: what is small shares one.
std::uint64_t ExchangeSignature::digest() const {
  const auto rules = (static_cast<std::uint64_t>(op) << 16U) | (static_cast<std::uint64_t>(votes_per_rank) << 8U) |
                     static_cast<std::uint64_t>(tie);
  std::uint64_t digest = mix(rules, calls.size());
  for (const CallSignature& call : calls) {
    digest = mix(digest, call.count);
    digest = mix(digest, call.number + std::rotl(call.source.digest, 56) + std::rotl(call.sink.digest, 48));
  }
  return digest;
}

std::string describeDifference(const ExchangeSignature& a, Rank rank_a, const ExchangeSignature& b, Rank rank_b) {
  const auto differ = [&](const std::string& what, const std::string& on_a, const std::string& on_b) {
    return what + " is " + onRanks(on_a, rank_a, on_b, rank_b);
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
    if (call_a.number != call_b.number) {
      return differ("call number" + where, std::to_string(call_a.number), std::to_string(call_b.number));
    }
    if (call_a.source != call_b.source) return differ("sendtype" + where, call_a.source.name, call_b.source.name);
    if (call_a.sink != call_b.sink) return differ("recvtype" + where, call_a.sink.name, call_b.sink.name);
  }
  return "the calls do not differ";
}

std::string encode(const ExchangeSignature& signature, std::string memory) {
  WireWriter writer(std::move(memory));
  writer.enumerator(signature.op).number(static_cast<std::uint8_t>(signature.votes_per_rank)).enumerator(signature.tie);
  writer.number(static_cast<std::uint32_t>(signature.calls.size()));
  for (const CallSignature& call : signature.calls) {
    writer.number(call.count).number(call.number);
    for (const ComparedEnd* const end : {&call.source, &call.sink}) writer.number(end->digest).text(end->name);
  }
  return writer.take();
}

ExchangeSignature decodeSignature(std::string_view bytes) {
  WireReader reader(bytes);
  ExchangeSignature signature;
  signature.op = reader.enumerator(SignOp::kAvg);
  signature.votes_per_rank = reader.number<std::uint8_t>();
  signature.tie = reader.enumerator(TieRule::kRandom);
  const std::uint32_t ncalls = reader.count(kLeastCallBytes);
  for (std::uint32_t i = 0; i < ncalls; ++i) {
    CallSignature call;
    call.count = reader.number<std::uint64_t>();
    call.number = reader.number<std::uint64_t>();
    for (ComparedEnd* const end : {&call.source, &call.sink}) {
      end->digest = reader.number<std::uint64_t>();
      end->name = reader.text();
    }
    signature.calls.push_back(call);
  }
  reader.finish();
  return signature;
}

std::string describeEncoded(const std::string& a, Rank rank_a, const std::string& b, Rank rank_b) {
  try {
    return describeDifference(decodeSignature(a), rank_a, decodeSignature(b), rank_b);
  } catch (const Error&) {
    return "what rank " + std::to_string(rank_a) + " or rank " + std::to_string(rank_b) +
           " announced cannot be understood";
  }
}

}  // namespace signccl
