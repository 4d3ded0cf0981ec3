// SPDX-License-Identifier: Apache-2.0
// What the environment says to the preload libraries.
#ifndef SIGNCCL_PLUGIN_RULES_SETTINGS_H_
#define SIGNCCL_PLUGIN_RULES_SETTINGS_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "rules/environment.h"
#include "rules/rules.h"

namespace signccl::rules {

/// A value, read once for each process.
struct Settings {
  RuleSet rules;          ///< SIGNCCL_RULES; none if it is not set
  Mode mode = Mode::kOn;  ///< SIGNCCL_INTERPOSE
  /// SIGNCCL_INTERPOSE_TIMEOUT: how long ranks wait for each other to compare their rules. By default a
  /// job whose ranks cannot has ended after 10 s, with what its launcher needs.
  std::chrono::seconds comparison_timeout{8};

  /// To be compared on all ranks before the first call is matched.
  [[nodiscard]] std::uint64_t digest() const { return rules.digest(mode); }

  /// Throws RulesError for rules, a mode or a timeout that cannot be understood. The job must then stop at its first
  /// collective: forwarding instead would hide the mistake. With SIGNCCL_INTERPOSE=off the rules are not read.
  /// `rules_source` is what errors say that the rules come from.
  static Settings load(const Environment& environment = environmentVariable,
                       const std::string& rules_source = "SIGNCCL_RULES");
};

/// A digest as logs and errors show it, 16 hexadecimal digits.
std::string digestText(std::uint64_t digest);

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_SETTINGS_H_
