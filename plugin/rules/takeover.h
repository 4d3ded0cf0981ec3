// SPDX-License-Identifier: Apache-2.0
// When a rule with sign_sum tries to take a call, and with which zero rule. Values decide whether a call can be taken,
// so a rule that never fits would cost a look at the values at every call; it is put on probation instead.
#ifndef SIGNCCL_PLUGIN_RULES_TAKEOVER_H_
#define SIGNCCL_PLUGIN_RULES_TAKEOVER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "rules/rules.h"

namespace signccl::rules {

/// What all ranks have agreed the values of a call to be. As signcclValues_t.
enum class Values : std::uint8_t {
  kSigns,  ///< -1 and +1 alone
  kZeros,  ///< 0 too, and no -0
  kOther,  ///< anything else too
};

/// What follows from an agreement.
enum class Verdict : std::uint8_t {
  kTaken,     ///< the result is there
  kAgain,     ///< nothing is written; to be called again at once, with ZeroRule::kTernary
  kFallBack,  ///< nothing is written; to be forwarded
};

/// Calls in a row that fall back before the rule is put on probation for calls of that size.
inline constexpr int kFallbacksBeforeProbation = 8;
/// Why the calls between are forwarded.
inline constexpr const char* kWhyOnProbation = "8 calls of its size fell back in a row";
/// On probation each such call is tried, and those between are forwarded without a look at their values.
inline constexpr int kCallsPerProbe = 100;

/// One for each communicator. All ranks decide alike without a message: the decisions follow from the calls so far and
/// from what all ranks agreed on. To be used by one thread at a time, in the order of the calls.
class Takeover {
 public:
  /// For a call that matches rule `index`, which is `rule`, and can be carried: the zero rule to try it with, or
  /// nothing if it is to be forwarded. Counts the call.
  std::optional<ZeroRule> next(std::size_t index, const Rule& rule, std::uint64_t count);

  /// Notes what the ranks agreed on for the call that next() was asked about last, tried with `zero`.
  Verdict agreed(std::size_t index, const Rule& rule, std::uint64_t count, ZeroRule zero, Values values);

 private:
  struct State {
    int fallbacks = 0;      ///< in a row
    int forwards = 0;       ///< on probation, since the last probe
    int without_zeros = 0;  ///< calls in a row
    ZeroRule zero = ZeroRule::kBinary;
  };

  std::map<std::pair<std::size_t, std::uint64_t>, State> states_;  ///< by rule and count
};

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_TAKEOVER_H_
