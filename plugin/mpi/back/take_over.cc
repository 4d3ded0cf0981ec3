// SPDX-License-Identifier: Apache-2.0
#include "mpi/back/take_over.h"

#include <optional>
#include <sstream>
#include <utility>

#include "mpi/back/element_types.h"
#include "rules/sign_config.h"

namespace signccl::mpi {
namespace {

using rules::Action;
using rules::Values;
using rules::Verdict;
using rules::ZeroRule;

TakeOver failed(std::string reason) { return {TakeOver::Result::kFailed, std::move(reason), {}}; }

TakeOver forwarded() { return {TakeOver::Result::kForwarded, {}, {}}; }

TakeOver failedCall() { return failed(signcclGetLastError(nullptr)); }

std::string noSign(const signcclSumOutcome_t& outcome) {
  std::ostringstream text;
  if (outcome.firstIndex < 0)
    text << "an element of another rank is no sign, but the rule trusts the values";
  else
    text << "element " << outcome.firstIndex << " is " << outcome.firstValue
         << ", but the rule trusts that all are signs";
  return text.str();
}

TakeOver fellBack(rules::FellBack why) { return {TakeOver::Result::kFellBack, {}, std::move(why)}; }

// Tries the call until the ranks agree; `zero` is what to begin with.
TakeOver trySum(Mirror& mirror, const MatchedCall& call, ZeroRule zero) {
  for (;;) {
    const signcclSignConfig_t config = rules::sumConfigOf(zero, call.rule->options.tie, call.send == call.recv);
    signcclSumOutcome_t outcome = SIGNCCL_SUM_OUTCOME_INITIALIZER;
    if (signcclAllReduceSum(call.send, call.recv, call.count, dataTypeOf(call.type), &config, mirror.signccl(), nullptr,
                            &outcome) != signcclSuccess)
      return failedCall();
    const auto values = static_cast<rules::Values>(outcome.values);  // the enumerators are those of signcclValues_t
    switch (mirror.takeover().agreed(call.rule_index, *call.rule, call.count, zero, values)) {
      case Verdict::kTaken:
        return {};
      case Verdict::kAgain:
        zero = ZeroRule::kTernary;
        break;
      case Verdict::kFallBack:
        if (call.rule->options.trust) return failed(noSign(outcome));
        return fellBack({values, outcome.firstIndex, outcome.firstValue, 0, {}});
    }
  }
}

TakeOver sumOfSigns(Mirror& mirror, const MatchedCall& call, const NextCalls& next) {
  std::optional<ZeroRule> zero = mirror.takeover().next(call.rule_index, *call.rule, call.count);
  if (!zero) return forwarded();
  if (call.rule->options.trust) return trySum(mirror, call, *zero);
  const Foresight::View view =
      mirror.foresight().look(call.rule_index, call.send, call.count, call.type, mirror.comm(), next);
  const bool fits = view.values == Values::kSigns || (view.values == Values::kZeros && *zero == ZeroRule::kTernary);
  if (!fits) {
    const Verdict verdict = mirror.takeover().agreed(call.rule_index, *call.rule, call.count, *zero, view.values);
    if (verdict == Verdict::kFallBack) {
      mirror.foresight().noteFallback(call.rule_index, call.count, view.own.first_index);
      return fellBack({view.values, view.own.first_index, view.own.first_value, 0, {}});
    }
    zero = ZeroRule::kTernary;
  }
  TakeOver result = trySum(mirror, call, *zero);
  if (result.result == TakeOver::Result::kTaken) {
    mirror.foresight().noteTaken(call.rule_index, call.count);
  } else {
    mirror.foresight().noteFallback(call.rule_index, call.count, result.fell_back.first_index);
  }
  return result;
}

}  // namespace

TakeOver takeOver(Mirror& mirror, const MatchedCall& call, const NextCalls& next) {
  const rules::Options& options = call.rule->options;
  const signcclSignConfig_t config = rules::signConfigOf(options.zero.value_or(ZeroRule::kBinary), options.tie);
  const signcclDataType_t type = dataTypeOf(call.type);
  signcclResult_t result = signcclSuccess;
  switch (call.rule->action) {
    case Action::kForward:
      return forwarded();
    case Action::kSignSum:
      return sumOfSigns(mirror, call, next);
    case Action::kVote:
      result = signcclAllReduceVote(call.send, call.recv, call.count, type, type, &config, mirror.signccl(), nullptr);
      break;
    case Action::kAvg:
      result = signcclAllReduceAvg(call.send, call.recv, call.count, type, type, &config, mirror.signccl(), nullptr);
      break;
  }
  return result == signcclSuccess ? TakeOver{} : failedCall();
}

}  // namespace signccl::mpi
