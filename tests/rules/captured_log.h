// SPDX-License-Identifier: Apache-2.0
// A log whose lines a test reads.
#ifndef SIGNCCL_TESTS_RULES_CAPTURED_LOG_H_
#define SIGNCCL_TESTS_RULES_CAPTURED_LOG_H_

#include <string>
#include <unistd.h>
#include <vector>

#include <sys/mman.h>

#include "rules/log.h"

namespace signccl::rules {

class CapturedLog {
 public:
  explicit CapturedLog(LogLevel level) : file_(memfd_create("log", MFD_CLOEXEC)), log_(level, file_) {}
  ~CapturedLog() { close(file_); }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;

  [[nodiscard]] const Log& log() const { return log_; }

  /// The lines so far, each without host, process and thread.
  [[nodiscard]] std::vector<std::string> lines() const {
    std::string text(1 << 16, '\0');
    const ssize_t size = pread(file_, text.data(), text.size(), 0);
    text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = text.find('\n', begin);
      const std::string line = text.substr(begin, end - begin);
      lines.push_back(line.substr(line.find(' ') + 1));
      begin = end + 1;
    }
    return lines;
  }

 private:
  int file_;
  Log log_;
};

}  // namespace signccl::rules

#endif  // SIGNCCL_TESTS_RULES_CAPTURED_LOG_H_
