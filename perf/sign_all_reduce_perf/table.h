// SPDX-License-Identifier: Apache-2.0
// The text of a run: header, rows and footer in the columns of nccl-tests, so that its parsers read them, and further
// columns at the end of each row.
#ifndef SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_TABLE_H_
#define SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "sign_all_reduce_perf/host.h"
#include "sign_all_reduce_perf/options.h"
#include "sign_all_reduce_perf/runner.h"

namespace signccl::perf {

/// Totals over all rows.
class Summary {
 public:
  void add(const Row& row);

  [[nodiscard]] std::uint64_t nwrong() const { return nwrong_; }

  /// Mean over rows and placements, GB/s.
  [[nodiscard]] double averageBusBandwidth() const { return nmeasurements_ == 0 ? 0 : busbw_sum_ / nmeasurements_; }

  /// False if the average is below 90 % of what the options demand.
  [[nodiscard]] bool bandwidthOkay(const Options& options) const {
    return options.min_bus_bandwidth < 0 || averageBusBandwidth() >= options.min_bus_bandwidth * 0.9;
  }

 private:
  std::uint64_t nwrong_ = 0;
  double busbw_sum_ = 0;
  int nmeasurements_ = 0;
};

/// `hosts` are those of the processes.
std::string formatHeader(const Options& options, const RunInfo& info, const std::vector<Host>& hosts);
std::string formatRow(const Row& row, const Options& options);
std::string formatFooter(const Summary& summary, const RunResult& result, const Options& options);

/// "0.1.0" of SIGNCCL_VERSION_CODE's encoding.
std::string versionText(int code);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SIGN_ALL_REDUCE_PERF_TABLE_H_
