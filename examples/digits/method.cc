// SPDX-License-Identifier: Apache-2.0
#include "method.h"

#include <stdexcept>

namespace digits {
namespace {

std::string tieName(signcclTieRule_t rule) {
  switch (rule) {
    case signcclTieZero:
      return "zero";
    case signcclTiePositive:
      return "positive";
    case signcclTieNegative:
      return "negative";
    case signcclTieRandom:
      return "random";
  }
  throw std::logic_error("unknown tie rule");
}

}  // namespace

std::string Method::id() const {
  const std::string ternary = zero_rule == signcclZeroTernary ? "-ternary" : "";
  const std::string sync = sync_every > 0 ? "-sync" + std::to_string(sync_every) : "";
  switch (kind) {
    case MethodKind::kVote:
      return "vote" + ternary + "-" + tieName(tie_rule) + sync;
    case MethodKind::kAvg:
      return "avg" + ternary + sync;
    case MethodKind::kLion:
      return "lion";
    case MethodKind::kAdamW:
      return "adamw";
  }
  throw std::logic_error("unknown method");
}

std::string Method::title() const {
  const std::string ternary = zero_rule == signcclZeroTernary ? ", ternary" : "";
  const std::string sync = sync_every > 0 ? ", momenta averaged every " + std::to_string(sync_every) + " steps" : "";
  switch (kind) {
    case MethodKind::kVote:
      return "D-Lion vote, tie " + tieName(tie_rule) + ternary + sync;
    case MethodKind::kAvg:
      return "D-Lion avg" + ternary + sync;
    case MethodKind::kLion:
      return "Lion, mean gradient";
    case MethodKind::kAdamW:
      return "AdamW, mean gradient";
  }
  throw std::logic_error("unknown method");
}

HyperParameters tunedSettings(MethodKind kind) {
  switch (kind) {
    case MethodKind::kVote:
      return {.learning_rate = 2e-3F, .weight_decay = 1.0F};
    case MethodKind::kAvg:
      return {.learning_rate = 4e-3F, .weight_decay = 0.3F};
    case MethodKind::kLion:
      return {.learning_rate = 4e-3F, .weight_decay = 1.0F};
    case MethodKind::kAdamW:
      return {.learning_rate = 1e-2F, .weight_decay = 0.1F};
  }
  throw std::logic_error("unknown method");
}

std::vector<Method> listMethods(const std::vector<MethodKind>& kinds, const std::vector<signcclZeroRule_t>& zero_rules,
                                const std::vector<signcclTieRule_t>& tie_rules) {
  std::vector<Method> methods;
  for (const MethodKind kind : kinds) {
    Method method{.kind = kind, .settings = tunedSettings(kind)};
    if (!method.sendsSigns()) {
      methods.push_back(method);
      continue;
    }
    for (const signcclZeroRule_t zero_rule : zero_rules) {
      method.zero_rule = zero_rule;
      if (kind == MethodKind::kAvg) methods.push_back(method);
      if (kind != MethodKind::kVote) continue;
      for (const signcclTieRule_t tie_rule : tie_rules) {
        method.tie_rule = tie_rule;
        methods.push_back(method);
      }
    }
  }
  return methods;
}

}  // namespace digits
