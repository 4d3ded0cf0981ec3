// SPDX-License-Identifier: Apache-2.0
#include "rules/takeover.h"

namespace signccl::rules {
namespace {

/// Sizes that are remembered for a communicator. A program whose sizes never repeat would need memory without end.
constexpr std::size_t kMostStates = 4096;

/// Zeros cost a second bit, and a call with zeros that is tried without them costs a second try. So a rule goes back to
/// one bit only after so many calls without zeros.
constexpr int kCallsBeforeBinary = 8;

}  // namespace

std::optional<ZeroRule> Takeover::next(std::size_t index, const Rule& rule, std::uint64_t count) {
  if (rule.options.trust) return rule.options.zero.value_or(ZeroRule::kBinary);
  // All ranks have seen the same calls, so they forget at the same one.
  if (states_.size() >= kMostStates && !states_.contains({index, count})) states_.clear();
  State& state = states_[{index, count}];
  if (state.fallbacks >= kFallbacksBeforeProbation && ++state.forwards < kCallsPerProbe) return std::nullopt;
  state.forwards = 0;
  return rule.options.zero.value_or(state.zero);
}

Verdict Takeover::agreed(std::size_t index, const Rule& rule, std::uint64_t count, ZeroRule zero, Values values) {
  State& state = states_[{index, count}];
  const bool may_change = !rule.options.zero && !rule.options.trust;
  if (values == Values::kZeros && zero == ZeroRule::kBinary && may_change) {
    state.zero = ZeroRule::kTernary;
    state.without_zeros = 0;
    return Verdict::kAgain;
  }
  if (values == Values::kOther || (values == Values::kZeros && zero == ZeroRule::kBinary)) {
    if (state.fallbacks < kFallbacksBeforeProbation) ++state.fallbacks;
    return Verdict::kFallBack;
  }
  state.fallbacks = 0;
  state.without_zeros = values == Values::kSigns ? state.without_zeros + 1 : 0;
  if (state.without_zeros >= kCallsBeforeBinary) {
    state.zero = ZeroRule::kBinary;
    state.without_zeros = 0;
  }
  return Verdict::kTaken;
}

}  // namespace signccl::rules
