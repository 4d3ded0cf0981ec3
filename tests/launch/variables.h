// SPDX-License-Identifier: Apache-2.0
// An environment that a test makes up.
#ifndef SIGNCCL_TESTS_LAUNCH_VARIABLES_H_
#define SIGNCCL_TESTS_LAUNCH_VARIABLES_H_

#include <map>
#include <optional>
#include <string>

namespace signccl::launch {

class Variables {
 public:
  Variables(std::initializer_list<std::pair<const std::string, std::string>> values) : values_(values) {}

  std::optional<std::string> operator()(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace signccl::launch

#endif  // SIGNCCL_TESTS_LAUNCH_VARIABLES_H_
