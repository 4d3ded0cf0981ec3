// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/table.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>

#include "sign_all_reduce_perf/element_types.h"

namespace signccl::perf {
namespace {

__attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...) {
  std::array<char, 1024> text{};
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text.data(), text.size(), pattern, arguments);
  va_end(arguments);
  return text.data();
}

/// `value` with as many of two decimals as fit into `width`.
std::string fitted(double value, int width) {
  for (const int decimals : {2, 1, 0}) {
    std::string text = format("%*.*f", width, decimals, value);
    if (static_cast<int>(text.size()) <= width) return text;
  }
  return format("%*.1e", width, value);
}

std::string formatMeasurement(const Measurement& m) {
  const std::string wrong = m.nwrong ? format("%6g", static_cast<double>(*m.nwrong)) : "   N/A";
  return "  " + fitted(m.time_us, 7) + "  " + fitted(m.algbw, 6) + "  " + fitted(m.busbw, 6) + "  " + wrong;
}

std::string recvTypeText(const Options& options) {
  return options.recvtype ? typeName(*options.recvtype) : "that of the input where it can hold the result";
}

const char* formName(const Options& options) {
  if (options.ngpus > 0) return "on a stream";
  return options.form == CallForm::kAsync ? "non-blocking" : "blocking";
}

std::string formatRules(const Options& options) {
  return format("# algorithm: %s zero: %s tie: %s kernel threads per rank: %s calls: %s\n",
                options.algorithm.empty() ? "auto" : options.algorithm.c_str(), zeroRuleName(options.zero_rule),
                tieRuleName(options.tie_rule),
                options.kernel_threads == 0 ? "default" : std::to_string(options.kernel_threads).c_str(),
                formName(options)) +
         "# type of the result: " + recvTypeText(options) + "\n";
}

/// Of a rank of the process, as nccl-tests has it.
std::string deviceText(const Host& host, int local, const RunInfo& info) {
  if (host.gpus.empty()) return "cpu [" + info.kernels + "]";
  const Gpu& gpu = host.gpus[static_cast<std::size_t>(local)];
  return format("%2d [%s] %s", gpu.ordinal, gpu.pci_address.c_str(), gpu.name.c_str());
}

std::string formatColumnNames(const Options& options) {
  const auto placements = [&](const char* time, const char* algbw, const char* busbw, const char* wrong) {
    return format("  %7s  %6s  %6s  %6s", time, algbw, busbw, wrong) +
           format("  %7s  %6s  %6s  %6s", time, algbw, busbw, wrong);
  };
  return format("# %10s  %12s  %8s  %6s  %6s  %31s  %31s\n", "", "", "", "", "", "out-of-place         ",
                "in-place           ") +
         format("# %10s  %12s  %8s  %6s  %6s", "size", "count", "type", "redop", "root") +
         placements("time", "algbw", "busbw", "#wrong") +
         format("  %12s  %6s  %9s  %12s%s\n", "sent/rank", "wire", "bits/elem", "algorithm",
                options.report_timestamps ? "            timestamp" : "") +
         format("# %10s  %12s  %8s  %6s  %6s", "(B)", "(elements)", "", "", "") +
         placements("(us)", "(GB/s)", "(GB/s)", "") +
         format("  %12s  %6s  %9s  %12s%s\n", "(B)", "(GB/s)", "", "",
                options.report_timestamps ? "  %Y-%m-%d %H:%M:%S" : "");
}

}  // namespace

void Summary::add(const Row& row) {
  for (const Measurement* m : {&row.out_of_place, row.in_place ? &*row.in_place : nullptr}) {
    if (m == nullptr) continue;
    nwrong_ += m->nwrong.value_or(0);
    busbw_sum_ += m->busbw;
    ++nmeasurements_;
  }
}

std::string versionText(int code) { return format("%d.%d.%d", code / 10000, code / 100 % 100, code % 100); }

std::string formatHeader(const Options& options, const RunInfo& info, const std::vector<Host>& hosts) {
  std::string text = "# sign_all_reduce_perf version " + versionText(SIGNCCL_VERSION_CODE) +
                     " signccl-library=" + versionText(info.library_version) + " kernels=" + info.kernels + "\n" +
                     "# Collective test starting: sign_all_reduce_perf\n";
  const bool by_factor = options.step_factor > 1;
  const int ngpus = std::max(options.ngpus, 1);
  text += format(
      "# nThread %d nGpus %d minBytes %zu maxBytes %zu step: %zu(%s) warmup iters: %d iters: %d agg iters: %d "
      "validation: %d graph: %d\n",
      options.nthreads / ngpus, ngpus, options.min_bytes, options.max_bytes,
      by_factor ? options.step_factor : options.step_bytes, by_factor ? "factor" : "bytes", options.warmup_iters,
      options.iters, options.agg_iters, options.check_iters, options.graph_launches);
  text += formatRules(options) + "#\n# Using devices\n";
  for (int rank = 0; rank < options.nranks; ++rank) {
    const Host& host = hosts[static_cast<std::size_t>(rank / options.nthreads)];
    text += format("#  Rank %2d Group  0 Pid %6d on %10s device %s\n", rank, host.pid, host.name.c_str(),
                   deviceText(host, rank % options.nthreads, info).c_str());
  }
  return text + "#\n" + formatColumnNames(options);
}

std::string formatRow(const Row& row, const Options& options) {
  std::string text = format("%12zu  %12zu  %8s  %6s  %6d", row.size_bytes, row.c.count, typeName(row.c.sendtype),
                            opName(row.c.op), -1);
  text += formatMeasurement(row.out_of_place);
  text += row.in_place ? formatMeasurement(*row.in_place) : format("  %7s  %6s  %6s  %6s", "N/A", "N/A", "N/A", "N/A");
  text += format("  %12.0f  ", row.sent_bytes) + fitted(row.out_of_place.wirebw, 6) +
          format("  %9.4f  %12s", row.bits_per_element, row.algorithm.c_str());
  if (options.report_timestamps) text += "  " + row.timestamp;
  return text + "\n";
}

std::string formatFooter(const Summary& summary, const RunResult& result, const Options& options) {
  const bool is_right = summary.nwrong() == 0 && result.errors.empty();
  std::string text = format("# %-20s : %llu %s\n", "Out of bounds values",
                            static_cast<unsigned long long>(summary.nwrong()), is_right ? "OK" : "FAILED");
  text += format("# %-20s : %g %s\n", "Avg bus bandwidth", summary.averageBusBandwidth(),
                 options.min_bus_bandwidth < 0 ? "" : (summary.bandwidthOkay(options) ? "OK" : "FAILED"));
  text +=
      "# busbw is what an all-reduce of the elements as they lie in memory would need for the same time. What a rank\n"
      "# sent is in sent/rank, and its rate (sent/rank over the time out of place) in wire. See docs/bench.md.\n";
  if (options.report_memory) {
    text +=
        format("# %-20s : %llu B per rank\n", "Exchange memory", static_cast<unsigned long long>(result.scratch_bytes));
  }
  if (!result.errors.empty()) {
    text += format("# Collective test failed: %zu of %d ranks%s report an error\n", result.errors.size(),
                   options.nthreads, options.nprocesses > 1 ? " of process 0" : "");
  }
  return text + "#\n# Collective test concluded: sign_all_reduce_perf\n#\n";
}

}  // namespace signccl::perf
