// SPDX-License-Identifier: Apache-2.0
// Runs a program as a user would.
#ifndef SIGNCCL_TESTS_PERF_PROGRAM_H_
#define SIGNCCL_TESTS_PERF_PROGRAM_H_

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace signccl::perf {

struct ProgramResult {
  int exit_code = -1;  ///< -1: ended by a signal
  std::string output;  ///< standard output and error
};

/// Variables are "NAME=value", added to the environment.
ProgramResult runProgram(const std::string& path, const std::vector<std::string>& arguments,
                         const std::vector<std::string>& variables = {});

/// Runs sign_all_reduce_perf.
inline ProgramResult runPerf(const std::vector<std::string>& arguments,
                             const std::vector<std::string>& variables = {}) {
  return runProgram(SIGNCCL_SIGN_ALL_REDUCE_PERF, arguments, variables);
}

/// A value that is_discarded() if the file holds no JSON.
inline nlohmann::json readJson(const std::string& file) {
  return nlohmann::json::parse(std::ifstream(file), nullptr, false);
}

/// A directory that is removed with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

  /// The names of what is in it.
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) names.push_back(entry.path().filename());
    return names;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_TESTS_PERF_PROGRAM_H_
