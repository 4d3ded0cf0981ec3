// SPDX-License-Identifier: Apache-2.0
// The JSON file of a run: the keys of nccl-tests' file version 3, with some of ours beside them. Rows are written as
// they come, and after each the file is complete, so that a run that is stopped leaves what it has measured.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_JSON_REPORT_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_JSON_REPORT_H_

#include <fstream>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "sign_all_reduce_perf/options.h"
#include "sign_all_reduce_perf/runner.h"
#include "sign_all_reduce_perf/table.h"

namespace signccl::perf {

/// Rows are in the file as soon as they are added, and it is complete JSON after each, so that a run which is stopped
/// has those that it came to; without the keys that only the end knows.
class JsonReport {
 public:
  /// Creates the file at once, so that a run whose results could not be kept does not start: `options.output_file`, or
  /// with .0, .1 and so on appended while that exists already. Throws OptionError. `options` must outlive it.
  explicit JsonReport(const Options& options);
  JsonReport(const JsonReport&) = delete;
  JsonReport& operator=(const JsonReport&) = delete;
  ~JsonReport() = default;

  [[nodiscard]] const std::string& path() const { return path_; }

  // These throw std::runtime_error if the file cannot be written.
  void start(const RunInfo& info, const std::vector<Host>& hosts);  ///< before the first row
  void add(const Row& row);
  void finish(const RunResult& result);

 private:
  /// What the file says after the rows. `end_time`: null while the run goes on.
  [[nodiscard]] std::string tail(const RunResult& result, const nlohmann::ordered_json& end_time) const;
  void writeHead();
  void write(const std::string& text);

  const Options& options_;
  std::string path_;
  nlohmann::ordered_json head_;  ///< what the file says before the rows
  Summary summary_;
  std::ofstream file_;
  std::streamoff rows_end_ = 0;
  bool has_rows_ = false;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_JSON_REPORT_H_
