// The JSON file of a run: the keys of nccl-tests' file version 3, with some of ours beside them.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_JSON_REPORT_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_JSON_REPORT_H_

#include <string>

#include <nlohmann/json.hpp>

#include "sign_all_reduce_perf/options.h"
#include "sign_all_reduce_perf/runner.h"
#include "sign_all_reduce_perf/table.h"

namespace signccl::perf {

class JsonReport {
 public:
  /// Creates the file at once, so that a run whose results could not be kept does not start: `options.output_file`, or
  /// with .0, .1 and so on appended while that exists already. Throws OptionError.
  explicit JsonReport(const Options& options);

  [[nodiscard]] const std::string& path() const { return path_; }

  void start(const Options& options, const RunInfo& info, const std::vector<Host>& hosts);
  void add(const Row& row);

  /// Writes the file.
  void finish(const Summary& summary, const RunResult& result, const Options& options);

 private:
  std::string path_;
  nlohmann::ordered_json document_;
};

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_JSON_REPORT_H_
