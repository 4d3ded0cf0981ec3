// The JSON file of a run: the keys of nccl-tests' file version 3, with some of ours beside them.
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
  /// with .0, .1 and so on appended while that exists already. Throws OptionError.
  explicit JsonReport(const Options& options);

  [[nodiscard]] const std::string& path() const { return path_; }

  void start(const Options& options, const RunInfo& info, const std::vector<Host>& hosts);
  /// Both throw std::runtime_error if the file cannot be written.
  void add(const Row& row);
  void finish(const Summary& summary, const RunResult& result, const Options& options);

 private:
  void put(std::string_view text, std::string_view end);

  std::string path_;
  std::ofstream file_;
  nlohmann::ordered_json head_;  ///< what comes before the rows
  bool has_head_ = false;        ///< it is in the file
  bool has_rows_ = false;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_JSON_REPORT_H_
