// SPDX-License-Identifier: Apache-2.0
#include "rules/settings.h"

#include <charconv>
#include <system_error>

#include "rules/errors.h"

namespace signccl::rules {
namespace {

void readComparisonTimeout(const Environment& environment, std::chrono::seconds& timeout) {
  constexpr const char* kName = "SIGNCCL_INTERPOSE_TIMEOUT";
  constexpr int kLongest = 3600;
  const std::string value = environment(kName);
  if (value.empty()) return;
  int seconds = 0;
  const char* const end = value.data() + value.size();
  const auto [rest, error] = std::from_chars(value.data(), end, seconds);
  if (error != std::errc() || rest != end || seconds < 1 || seconds > kLongest) {
    throw RulesError(std::string(kName) + "=" + value, {"expected seconds from 1 to " + std::to_string(kLongest)});
  }
  timeout = std::chrono::seconds(seconds);
}

}  // namespace

Settings Settings::load(const Environment& environment, const std::string& rules_source) {
  Settings settings;
  if (const auto mode = choiceOf(environment, "SIGNCCL_INTERPOSE", namesOf(Mode{}))) {
    settings.mode = static_cast<Mode>(*mode);
  }
  readComparisonTimeout(environment, settings.comparison_timeout);
  if (settings.mode != Mode::kOff) settings.rules = RuleSet::load(environment("SIGNCCL_RULES"), rules_source);
  return settings;
}

std::string digestText(std::uint64_t digest) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[digest >> static_cast<unsigned>(shift) & 0xfU];
  return text;
}

}  // namespace signccl::rules
