// SPDX-License-Identifier: Apache-2.0
// The options of a rule as the library takes them. For the plugins, which are linked with it; the rules are not.
#ifndef SIGNCCL_PLUGIN_RULES_SIGN_CONFIG_H_
#define SIGNCCL_PLUGIN_RULES_SIGN_CONFIG_H_

#include "rules/types.h"
#include "signccl/signccl.h"

namespace signccl::rules {

inline int tieRuleOf(TieRule rule) {
  switch (rule) {
    case TieRule::kZero:
      return signcclTieZero;
    case TieRule::kPositive:
      return signcclTiePositive;
    case TieRule::kNegative:
      return signcclTieNegative;
    case TieRule::kRandom:
      return signcclTieRandom;
  }
  return signcclTieRandom;
}

inline signcclSignConfig_t signConfigOf(ZeroRule zero, TieRule tie) {
  signcclSignConfig_t config = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  config.zeroRule = zero == ZeroRule::kTernary ? signcclZeroTernary : signcclZeroBinary;
  config.tieRule = tieRuleOf(tie);
  return config;
}

/// For a sum: where it does not write over its input, a fallback writes all of recvbuff again.
inline signcclSignConfig_t sumConfigOf(ZeroRule zero, TieRule tie, bool is_in_place) {
  signcclSignConfig_t config = signConfigOf(zero, tie);
  config.misfitRule = is_in_place ? signcclMisfitKeep : signcclMisfitDiscard;
  return config;
}

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_SIGN_CONFIG_H_
