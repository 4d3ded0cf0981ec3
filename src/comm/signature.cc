// SPDX-License-Identifier: Apache-2.0
#include "comm/signature.h"

#include <algorithm>
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

/// A value that differs.
struct Difference {
  std::string what;
  std::string on_a;
  std::string on_b;
};

/// The next part of `list`, which is taken from it.
std::string_view takePart(std::string_view& list, std::string_view separator) {
  const std::size_t end = std::min(list.find(separator), list.size());
  const std::string_view part = list.substr(0, end);
  list.remove_prefix(std::min(end + separator.size(), list.size()));
  return part;
}

/// The first difference of two lists like "gradient type=float32, beta1=0.9".
Difference firstDifference(std::string_view a, std::string_view b) {
  Difference whole{"the step", std::string(a), std::string(b)};
  while (!a.empty() && !b.empty()) {
    std::string_view value_a = takePart(a, ", ");
    std::string_view value_b = takePart(b, ", ");
    const std::string_view what = takePart(value_a, "=");
    if (what != takePart(value_b, "=")) return whole;
    if (value_a != value_b) return {std::string(what), std::string(value_a), std::string(value_b)};
  }
  return whole;
}

std::string collectiveName(const ExchangeSignature& signature) {
  return signature.first_tensor == kNoStep ? opName(signature.op)
                                           : std::string("a Lion step with ") + opName(signature.op);
}

const char* carrierName(Carrier carrier) {
  switch (carrier) {
    case Carrier::kTransport:
      return "a transport of the host";
    case Carrier::kNccl:
      return "NCCL";
    case Carrier::kNcclGraph:
      return "NCCL in replays of a CUDA graph";
  }
  return "unknown";
}

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
  if (carrier != Carrier::kTransport) digest = mix(digest, static_cast<std::uint64_t>(carrier));
  if (first_tensor != kNoStep) digest = mix(digest, static_cast<std::uint64_t>(first_tensor));
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
  const bool is_step = a.first_tensor != kNoStep;
  if (a.op != b.op || is_step != (b.first_tensor != kNoStep)) {
    return differ("the collective", collectiveName(a), collectiveName(b));
  }
  if (a.carrier != b.carrier) return differ("what carries the votes", carrierName(a.carrier), carrierName(b.carrier));
  if (a.first_tensor != b.first_tensor) {
    return differ("the first tensor", std::to_string(a.first_tensor), std::to_string(b.first_tensor));
  }
  if (a.calls.size() != b.calls.size()) {
    return differ(is_step ? "the number of tensors" : "the number of collectives in the group",
                  std::to_string(a.calls.size()), std::to_string(b.calls.size()));
  }
  if (a.votes_per_rank != b.votes_per_rank) {
    return differ("the zero rule", zeroRuleName(a.votes_per_rank), zeroRuleName(b.votes_per_rank));
  }
  if (a.tie != b.tie) return differ("the tie rule", tieRuleName(a.tie), tieRuleName(b.tie));
  for (std::size_t i = 0; i < a.calls.size(); ++i) {
    const CallSignature& call_a = a.calls[i];
    const CallSignature& call_b = b.calls[i];
    const std::string where = is_step ? " of tensor " + std::to_string(static_cast<std::size_t>(a.first_tensor) + i)
                              : a.calls.size() == 1 ? ""
                                                    : " of call " + std::to_string(i) + " of the group";
    if (call_a.count != call_b.count) {
      // Calls alone that got out of step usually differ in their counts first.
      const char* const hint = is_step || a.calls.size() > 1 ? "" : " (a rank may have left out or repeated a call)";
      return differ("count" + where, std::to_string(call_a.count), std::to_string(call_b.count)) + hint;
    }
    if (call_a.number != call_b.number) {
      return differ("call number" + where, std::to_string(call_a.number), std::to_string(call_b.number));
    }
    for (const auto& [end, type] :
         {std::pair(&CallSignature::source, "sendtype"), {&CallSignature::sink, "recvtype"}}) {
      if (call_a.*end == call_b.*end) continue;
      Difference found{type, (call_a.*end).name, (call_b.*end).name};
      if (is_step) found = firstDifference(found.on_a, found.on_b);
      return differ(found.what + where, found.on_a, found.on_b);
    }
  }
  return "the calls do not differ";
}

std::string encode(const ExchangeSignature& signature, std::string memory) {
  WireWriter writer(std::move(memory));
  writer.enumerator(signature.op).number(static_cast<std::uint8_t>(signature.votes_per_rank)).enumerator(signature.tie);
  writer.enumerator(signature.carrier);
  writer.number(static_cast<std::uint64_t>(signature.first_tensor));
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
  signature.op = reader.enumerator(SignOp::kSum);
  signature.votes_per_rank = reader.number<std::uint8_t>();
  signature.tie = reader.enumerator(TieRule::kRandom);
  signature.carrier = reader.enumerator(Carrier::kNcclGraph);
  signature.first_tensor = static_cast<std::int64_t>(reader.number<std::uint64_t>());
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
