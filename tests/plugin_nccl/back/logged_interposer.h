// SPDX-License-Identifier: Apache-2.0
#ifndef SIGNCCL_TESTS_PLUGIN_NCCL_BACK_LOGGED_INTERPOSER_H_
#define SIGNCCL_TESTS_PLUGIN_NCCL_BACK_LOGGED_INTERPOSER_H_

#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>

#include "interposer_job.h"

namespace signccl::nccl_preload {

/// An interposer whose log a test reads.
class LoggedInterposer {
 public:
  explicit LoggedInterposer(const std::string& rules, const RealNccl& functions = fakeFunctions())
      : interposer_(
            functions,
            [&](const char* name) -> std::string {
              if (std::string_view(name) == "SIGNCCL_RULES") return rules;
              if (std::string_view(name) == "SIGNCCL_DEBUG") return "INFO";
              if (std::string_view(name) == "SIGNCCL_DEBUG_FILE") return file_;
              return {};
            },
            "the fake") {}
  ~LoggedInterposer() { std::remove(log().c_str()); }
  LoggedInterposer(const LoggedInterposer&) = delete;
  LoggedInterposer& operator=(const LoggedInterposer&) = delete;

  Interposer& operator*() { return interposer_; }
  Interposer* operator->() { return &interposer_; }

  [[nodiscard]] long linesWith(const std::string& text) const {
    std::ifstream file(log());
    long lines = 0;
    for (std::string line; std::getline(file, line);) lines += line.find(text) != std::string::npos ? 1 : 0;
    return lines;
  }

 private:
  [[nodiscard]] std::string log() const { return file_ + ".interpose"; }

  std::string file_ = ::testing::TempDir() + "signccl_log_" + std::to_string(getpid());
  Interposer interposer_;
};

}  // namespace signccl::nccl_preload

#endif  // SIGNCCL_TESTS_PLUGIN_NCCL_BACK_LOGGED_INTERPOSER_H_
