// SPDX-License-Identifier: Apache-2.0
// A place for files of one test.
#ifndef TESTS_EXAMPLES_DIGITS_SCRATCH_H_
#define TESTS_EXAMPLES_DIGITS_SCRATCH_H_

#include <filesystem>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace digits {

/// A folder that no other test and no other process has; made at once, removed with all that is in it.
class Scratch {
 public:
  Scratch() { std::filesystem::create_directories(path_); }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_ =
      std::filesystem::path(::testing::TempDir()) /
      ("digits-" + std::to_string(getpid()) + "-" + ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

}  // namespace digits

#endif  // TESTS_EXAMPLES_DIGITS_SCRATCH_H_
