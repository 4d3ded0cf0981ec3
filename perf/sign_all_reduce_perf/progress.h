// SPDX-License-Identifier: Apache-2.0
// One line on a terminal that says what a long run is doing; nothing where the output is not a terminal.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_PROGRESS_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_PROGRESS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>

namespace signccl::perf {

enum class Terminal : std::uint8_t { kNo, kYes };

/// One thread at a time.
class Progress {
 public:
  /// `total`: number of cases; 0 if the run has no end.
  Progress(std::ostream& out, Terminal terminal, std::size_t total);
  ~Progress() { erase(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Shows that `phase` of the current case begins.
  void show(const std::string& phase);

  /// Removes the line; to be called before other output goes to the same terminal.
  void erase();

  /// A case is complete.
  void advance() { ++done_; }

 private:
  std::ostream& out_;
  const Terminal terminal_;
  const std::size_t total_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::size_t done_ = 0;
  bool shown_ = false;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_PROGRESS_H_
