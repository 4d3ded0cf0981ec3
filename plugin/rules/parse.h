// SPDX-License-Identifier: Apache-2.0
// From the text of a rules file to rules.
#ifndef SIGNCCL_PLUGIN_RULES_PARSE_H_
#define SIGNCCL_PLUGIN_RULES_PARSE_H_

#include <string>
#include <string_view>
#include <vector>

#include "rules/rules.h"

namespace signccl::rules {

/// Throws RulesError with all that is wrong; `origin` stands before each line of it.
std::vector<Rule> parseRules(std::string_view text, const std::string& origin);

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_PARSE_H_
