// SPDX-License-Identifier: Apache-2.0
// Which calls that match a rule can be carried out by its action. What cannot is forwarded, on every rank alike.
#ifndef SIGNCCL_PLUGIN_RULES_CARRY_H_
#define SIGNCCL_PLUGIN_RULES_CARRY_H_

#include <cstdint>
#include <string>

#include "rules/rules.h"

namespace signccl::rules {

/// Ranks up to which a sum of signs is exact in a type, whatever the order of the additions: beyond them int8 wraps, and
/// 16-bit types round.
std::uint64_t mostRanksOfSum(ElementType type);

/// Why `rule` forwards `call`, which it matches, although it would take it; empty if it takes the call. Depends on what
/// is the same on all ranks. Also empty for rules that forward.
std::string whyNotCarried(const Rule& rule, const Call& call);

/// Why a rule can carry none of the calls that it matches; empty if it can carry some. The text begins with what was
/// expected of which part of the match.
struct NeverCarried {
  std::string place;     ///< JSON pointer below the rule, such as "/match/ranks"; empty if it carries some calls
  std::string expected;  ///< in words
};
NeverCarried whyNeverCarried(const Rule& rule);

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_CARRY_H_
