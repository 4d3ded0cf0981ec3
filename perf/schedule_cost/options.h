// SPDX-License-Identifier: Apache-2.0
// The command line of schedule_cost.
#ifndef SIGNCCL_PERF_SCHEDULE_COST_OPTIONS_H_
#define SIGNCCL_PERF_SCHEDULE_COST_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "schedule/cost.h"
#include "schedule/width.h"

namespace signccl::perf {

struct CostOptions {
  std::vector<int> ranks = {2, 4, 8, 16, 32, 64};
  int ranks_per_node = 1;
  double ranks_per_core = 1;
  std::vector<std::string> algorithms;
  std::vector<double> counts = {1e6};
  std::vector<std::string> ops = {"vote", "avg"};
  bool ternary = false;
  std::string link = "tcp10g";
  std::vector<double> mbits;  ///< rates of the link between nodes; empty: that of `link`
  std::optional<double> latency_us;
  std::optional<double> message_us;
  std::optional<double> processor_ns_per_byte;
  bool wire = false;
  bool pays = false;
  double memory_gb_per_s = 35;
  double compute_ms = 500;
  double bucket_mb = 25;
};

/// `options` must outlive the parsing, and holds what is given afterwards.
void addOptions(CLI::App& app, CostOptions& options);

/// Throws CLI::ValidationError for options that do not go together.
void requireThatOptionsFit(const CostOptions& options);

/// The model of the options with a link of `mbit`, or of the rate of the named link.
CostModel modelOf(const CostOptions& options, std::optional<double> mbit);

/// `op` is vote or avg.
CountRules rulesOf(const CostOptions& options, const std::string& op, int nranks);

}  // namespace signccl::perf

#endif  // SIGNCCL_PERF_SCHEDULE_COST_OPTIONS_H_
