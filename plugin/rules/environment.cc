// SPDX-License-Identifier: Apache-2.0
#include "rules/environment.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "rules/errors.h"

namespace signccl::rules {

std::string environmentVariable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) return {};
  constexpr const char* kBlanks = " \t\r\n";
  const std::string text = value;
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::optional<std::size_t> choiceOf(const Environment& environment, const char* name,
                                    std::span<const std::string_view> names) {
  const std::string value = environment(name);
  if (value.empty()) return std::nullopt;
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::string expected;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (std::ranges::equal(value, names[i], {}, lower, lower)) return i;
    expected += (i == 0 ? "expected one of " : ", ") + std::string(names[i]);
  }
  throw RulesError(std::string(name) + "=" + value, {expected});
}

}  // namespace signccl::rules
