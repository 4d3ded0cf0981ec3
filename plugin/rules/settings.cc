// SPDX-License-Identifier: Apache-2.0
#include "rules/settings.h"

namespace signccl::rules {

Settings Settings::load(const Environment& environment) {
  Settings settings;
  if (const auto mode = choiceOf(environment, "SIGNCCL_INTERPOSE", namesOf(Mode{}))) {
    settings.mode = static_cast<Mode>(*mode);
  }
  if (settings.mode != Mode::kOff) settings.rules = RuleSet::load(environment("SIGNCCL_RULES"));
  return settings;
}

std::string digestText(std::uint64_t digest) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[digest >> static_cast<unsigned>(shift) & 0xfU];
  return text;
}

}  // namespace signccl::rules
