// SPDX-License-Identifier: Apache-2.0
// JSON with comments from a text of the user's, with the place of each fault.
#ifndef SIGNCCL_PLUGIN_RULES_JSON_TEXT_H_
#define SIGNCCL_PLUGIN_RULES_JSON_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace signccl::rules {

using Json = nlohmann::json;

/// Parses `text`. What is wrong goes to `problems`: a syntax error, with its byte (from 1), line and column, after which
/// the value is null; keys that an object has twice, and values that are nested too deeply, with their JSON pointers.
Json parseJson(std::string_view text, std::vector<std::string>& problems);

/// JSON pointer of the member `key` of what is at `place`.
std::string memberPlace(const std::string& place, std::string_view key);

/// The line `place: value; expected ...` about a value of the file, which is cut if it is long.
std::string problemAt(const std::string& place, const Json& value, const std::string& expected);

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_JSON_TEXT_H_
