// SPDX-License-Identifier: Apache-2.0
// What is wrong with a rules file or with a variable of the preload libraries.
#ifndef SIGNCCL_PLUGIN_RULES_ERRORS_H_
#define SIGNCCL_PLUGIN_RULES_ERRORS_H_

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace signccl::rules {

/// All that was found wrong at once. what() has a line for each problem, such as
/// `/rules/0/match/type/1: "fp16"; expected one of int8, float16, bfloat16, float32, float64`.
class RulesError : public std::runtime_error {
 public:
  /// `origin` says whose problems they are: a path, or a variable. It stands before each line.
  RulesError(const std::string& origin, std::vector<std::string> problems)
      : std::runtime_error(joined(origin, problems)), problems_(std::move(problems)) {}

  /// One line for each problem, without the origin.
  [[nodiscard]] const std::vector<std::string>& problems() const noexcept { return problems_; }

 private:
  static std::string joined(const std::string& origin, const std::vector<std::string>& problems) {
    std::string lines;
    for (const std::string& problem : problems) {
      if (!lines.empty()) lines += '\n';
      lines.append(origin).append(": ").append(problem);
    }
    return lines;
  }

  std::vector<std::string> problems_;
};

}  // namespace signccl::rules

#endif  // SIGNCCL_PLUGIN_RULES_ERRORS_H_
