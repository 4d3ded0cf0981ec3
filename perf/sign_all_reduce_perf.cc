// sign_all_reduce_perf: measures and checks the collectives, with the options, columns and JSON of nccl-tests.
//
// Exit codes: 0 all well; 1 wrong results, a rank that failed, or less bandwidth than SIGNCCL_TESTS_MIN_BW demands; 2
// options that cannot be run.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <unistd.h>

#include "launch/job.h"
#include "sign_all_reduce_perf/host.h"
#include "sign_all_reduce_perf/json_report.h"
#include "sign_all_reduce_perf/options.h"
#include "sign_all_reduce_perf/plan.h"
#include "sign_all_reduce_perf/progress.h"
#include "sign_all_reduce_perf/runner.h"
#include "sign_all_reduce_perf/table.h"
#include "sign_all_reduce_perf/tuning.h"

namespace signccl::perf {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitBadOptions = 2;

std::size_t countCases(const std::vector<Sweep>& sweeps, const Options& options) {
  std::size_t ncases = 0;
  for (const Sweep& sweep : sweeps) ncases += sweep.timed.size();
  return ncases * static_cast<std::size_t>(options.run_cycles);
}

/// What process 0 prints and writes while the cases run.
class Reporter {
 public:
  /// `record`: gets the rows too, unless it is null.
  Reporter(const Options& options, const std::vector<Sweep>& sweeps, const std::vector<Host>& hosts,
           TuningRecord* record)
      : options_(options),
        hosts_(hosts),
        record_(record),
        progress_(std::cerr, isatty(STDERR_FILENO) != 0 ? Terminal::kYes : Terminal::kNo, countCases(sweeps, options)) {
    if (options.output_file.empty()) return;
    json_.emplace(options);
    std::cout << "# Writing JSON output to " << json_->path() << '\n';
  }

  RunObserver observer() {
    RunObserver observer;
    observer.started = [this](const RunInfo& info) {
      std::cout << formatHeader(options_, info, hosts_) << std::flush;
      if (json_) json_->start(info, hosts_);
    };
    observer.row = [this](const Row& row) {
      progress_.erase();
      progress_.advance();
      summary_.add(row);
      if (record_ != nullptr) record_->add(row);
      std::cout << formatRow(row, options_) << std::flush;
      if (json_) json_->add(row);
    };
    observer.phase = [this](const std::string& phase) { progress_.show(phase); };
    return observer;
  }

  /// Returns whether the results are right and fast enough.
  bool finish(const RunResult& result) {
    progress_.erase();
    std::cout << formatFooter(summary_, result, options_) << std::flush;
    if (json_) json_->finish(result);
    return summary_.nwrong() == 0 && summary_.bandwidthOkay(options_);
  }

 private:
  const Options& options_;
  const std::vector<Host>& hosts_;
  TuningRecord* record_;
  std::optional<JsonReport> json_;
  Progress progress_;
  Summary summary_;
};

/// Runs all cases in this process. Returns its exit code.
int measure(const Options& options, const std::vector<Host>& hosts, launch::JobComm& job,
            TuningRecord* record = nullptr) {
  const std::vector<Sweep> sweeps = planSweeps(options);
  std::optional<Reporter> reporter;
  if (job.isFirst()) reporter.emplace(options, sweeps, hosts, record);
  const RunResult result = runRanks(options, sweeps, reporter ? reporter->observer() : RunObserver{}, job);
  const bool okay = (!reporter || reporter->finish(result)) && result.errors.empty();
  for (const std::string& error : result.errors) std::cerr << "sign_all_reduce_perf: " << error << '\n';
  return okay ? 0 : kExitFailed;
}

/// Runs all cases with every algorithm, and writes the fastest ones into the tuning file. Returns the exit code.
int tune(const Options& options, const std::vector<Host>& hosts, launch::JobComm& job) {
  const int nnodes = countNodes(hosts);
  TuningRecord record(options.nranks, nnodes);
  for (const std::string& algorithm : algorithmsToTune(options.nranks, nnodes)) {
    Options one = options;
    one.algorithm = algorithm;
    if (const int exit_code = measure(one, hosts, job, &record); exit_code != 0) return exit_code;
  }
  if (!job.isFirst()) return 0;
  writeTuningFile(record, options.tuning_file);
  std::cout << "# Fastest algorithms of " << options.nranks << " ranks on " << nnodes << " node(s) written to "
            << options.tuning_file << "; to use them: SIGNCCL_TUNING_FILE=" << options.tuning_file << '\n';
  return 0;
}

/// Lowers options.max_bytes on all processes to what fits into the memory of each.
void agreeOnSizes(Options& options, const std::vector<Host>& hosts, launch::JobComm& job) {
  const std::size_t wanted_bytes = options.max_bytes;
  const std::string& machine = hosts[static_cast<std::size_t>(job.process())].machine;
  const auto nprocesses = std::ranges::count(hosts, machine, &Host::machine);
  fitIntoMemory(options, static_cast<int>(nprocesses) * options.nthreads, availableMemory());
  options.max_bytes = std::ranges::min(job.allGather(options.max_bytes));
  if (job.isFirst() && options.max_bytes < wanted_bytes) {
    std::cout << "# Reducing maxBytes to " << options.max_bytes << " due to memory limitation\n";
  }
}

int run(int argc, const char* const* argv) {
  ParsedOptions parsed = parseOptions(argc, argv);
  if (!parsed.help.empty()) {
    std::cout << parsed.help;
    return 0;
  }
  return launch::runJob(parsed.job, "sign_all_reduce_perf", [&](launch::JobComm& job) {
    const std::vector<Host> hosts = gatherHosts(job);
    agreeOnSizes(parsed.options, hosts, job);
    return parsed.options.tuning_file.empty() ? measure(parsed.options, hosts, job) : tune(parsed.options, hosts, job);
  });
}

}  // namespace
}  // namespace signccl::perf

int main(int argc, char** argv) {
  try {
    return signccl::perf::run(argc, argv);
  } catch (const signccl::perf::OptionError& error) {
    std::cerr << "sign_all_reduce_perf: " << error.what() << '\n';
    return signccl::perf::kExitBadOptions;
  } catch (const std::exception& error) {
    std::cerr << "sign_all_reduce_perf: " << error.what() << '\n';
    return signccl::perf::kExitFailed;
  }
}
