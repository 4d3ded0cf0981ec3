// SPDX-License-Identifier: Apache-2.0
// Settings of a test: the environment holds exactly what the test sets, and what it was before comes back.
#ifndef SIGNCCL_TESTS_BASE_ENVIRONMENT_H_
#define SIGNCCL_TESTS_BASE_ENVIRONMENT_H_

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/settings.h"

namespace signccl {

/// A test with an empty folder, which is its home directory, and without SIGNCCL_* variables.
class EnvironmentTest : public testing::Test {
 protected:
  EnvironmentTest() {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              ("signccl_" + std::string(test.name()) + "_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    set("HOME", folder_.string());
    for (const SettingInfo& info : knownSettings()) unset(info.name);
  }

  ~EnvironmentTest() override {
    for (const auto& [name, value] : before_) {
      unsetenv(name.c_str());
      if (value) setenv(name.c_str(), value->c_str(), 1);
    }
    std::filesystem::remove_all(folder_);
  }

  EnvironmentTest(const EnvironmentTest&) = delete;
  EnvironmentTest& operator=(const EnvironmentTest&) = delete;

  void set(const std::string& name, const std::string& value) {
    remember(name);
    setenv(name.c_str(), value.c_str(), 1);
  }

  void unset(const std::string& name) {
    remember(name);
    unsetenv(name.c_str());
  }

  [[nodiscard]] std::string path(const std::string& file) const { return (folder_ / file).string(); }

  /// Writes a file in the folder and gives its path.
  std::string write(const std::string& file, const std::string& text) const {
    std::ofstream(folder_ / file) << text;
    return path(file);
  }

  [[nodiscard]] std::string read(const std::string& file) const {
    std::ostringstream text;
    text << std::ifstream(folder_ / file).rdbuf();
    return text.str();
  }

  /// The settings of environment and home directory, without the file of this machine.
  Settings load() const { return Settings::load(path("no_system_file")); }

 private:
  void remember(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    before_.try_emplace(name, value == nullptr ? std::nullopt : std::optional<std::string>(value));
  }

  std::filesystem::path folder_;
  std::map<std::string, std::optional<std::string>> before_;
};

/// Runs `body`, which must throw signcclInvalidUsage, and gives the message.
template <typename Body>
std::string usageErrorOf(Body&& body) {
  try {
    std::forward<Body>(body)();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), signcclInvalidUsage);
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return {};
}

}  // namespace signccl

#endif  // SIGNCCL_TESTS_BASE_ENVIRONMENT_H_
