// SPDX-License-Identifier: Apache-2.0
// How this folder reads environment variables, so that tests can give their own.
#ifndef SIGNCCL_PLUGIN_RULES_ENVIRONMENT_H_
#define SIGNCCL_PLUGIN_RULES_ENVIRONMENT_H_

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace signccl::rules {

/// Gives the value of a variable without the blanks around it; empty if it is not set.
using Environment = std::function<std::string(const char* name)>;

/// The environment of this process.
std::string environmentVariable(const char* name);

/// The index in `names` of the variable's value, compared without case; nothing if the variable is not set. Throws
/// RulesError for another value.
std::optional<std::size_t> choiceOf(const Environment& environment, const char* name,
                                    std::span<const std::string_view> names);

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_ENVIRONMENT_H_
