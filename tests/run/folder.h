// SPDX-License-Identifier: Apache-2.0
// A folder of a test, which goes with it.
#ifndef SIGNCCL_TESTS_RUN_FOLDER_H_
#define SIGNCCL_TESTS_RUN_FOLDER_H_

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace signccl::run {

class Folder {
 public:
  Folder() {
    std::string pattern = testing::TempDir() + "run_test_XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] std::string at(const std::string& name) const { return (path_ / name).string(); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Makes a file and its folders.
  std::string write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
    return at(name);
  }

  /// Makes a file that may be executed.
  std::string writeProgram(const std::string& name, const std::string& text) const {
    const std::string path = write(name, text);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }

  /// Copies the library that does nothing.
  std::string putLibrary(const std::string& name) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::filesystem::copy_file(SIGNCCL_EMPTY_LIBRARY, path_ / name);
    return at(name);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace signccl::run

#endif  // SIGNCCL_TESTS_RUN_FOLDER_H_
