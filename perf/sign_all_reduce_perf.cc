// SPDX-License-Identifier: Apache-2.0
// sign_all_reduce_perf: measures and checks the collectives, with the options, columns and JSON of nccl-tests.
//
// Exit codes: 0 all well; 1 wrong results, a rank that failed, or less bandwidth than SIGNCCL_TESTS_MIN_BW demands; 2
// options that cannot be run.
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>

#include "launch/error_line.h"
#include "launch/job.h"
#include "sign_all_reduce_perf/gpus.h"
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

std::size_t countCases(const std::vector<Sweep>& sweeps) {
  std::size_t ncases = 0;
  for (const Sweep& sweep : sweeps) ncases += sweep.timed.size();
  return ncases;
}

/// What process 0 prints and writes while the cases run.
class Reporter {
 public:
  /// `ncases`: how many rows will come; 0 if there is no end.
  Reporter(const Options& options, std::size_t ncases, const std::vector<Host>& hosts)
      : options_(options),
        hosts_(hosts),
        progress_(std::cerr, isatty(STDERR_FILENO) != 0 ? Terminal::kYes : Terminal::kNo, ncases) {
    if (options.output_file.empty()) return;
    json_.emplace(options);
    std::cout << "# Writing JSON output to " << json_->path() << '\n';
  }

  /// Of one run; if there are several, the first one prints the header. `record` gets the rows too, unless it is null.
  RunObserver observer(TuningRecord* record = nullptr) {
    RunObserver observer;
    observer.started = [this](const RunInfo& info) {
      if (std::exchange(has_started_, true)) return;
      std::cout << formatHeader(options_, info, hosts_) << std::flush;
      if (json_) json_->start(info, hosts_);
    };
    observer.row = [this, record](const Row& row) {
      progress_.erase();
      progress_.advance();
      summary_.add(row);
      if (record != nullptr) record->add(row);
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
  std::optional<JsonReport> json_;
  Progress progress_;
  Summary summary_;
  bool has_started_ = false;
};

/// Reports how a run ended. `reporter`: that of process 0, else nothing. Returns the exit code of this process.
int finish(std::optional<Reporter>& reporter, const RunResult& result) {
  const bool okay = (!reporter || reporter->finish(result)) && result.errors.empty();
  for (const std::string& error : result.errors) launch::printErrorLine("sign_all_reduce_perf", error);
  return okay ? 0 : kExitFailed;
}

const Host& hostOf(const std::vector<Host>& hosts, const launch::JobComm& job) {
  return hosts[static_cast<std::size_t>(job.process())];
}

/// Runs all cases in this process. Returns its exit code.
int measure(const Options& options, const std::vector<Host>& hosts, launch::JobComm& job) {
  const std::vector<Sweep> sweeps = planSweeps(options);
  std::optional<Reporter> reporter;
  if (job.isFirst())
    reporter.emplace(options, countCases(sweeps) * static_cast<std::size_t>(options.run_cycles), hosts);
  return finish(reporter,
                runRanks(options, sweeps, reporter ? reporter->observer() : RunObserver{}, hostOf(hosts, job), job));
}

/// Asks the library which algorithms it takes by itself.
RunResult askModel(Options options, const Host& host, launch::JobComm& job, TuningRecord& record) {
  options.iters = 1;
  options.warmup_iters = 0;
  options.check_iters = 0;
  RunObserver observer;
  observer.started = [](const RunInfo&) {};
  observer.row = [&record](const Row& row) { record.addChoiceOfModel(row); };
  observer.phase = [](const std::string&) {};
  return runRanks(options, planSweeps(options), observer, host, job);
}

/// Measures all cases with every algorithm, round after round, until something fails.
RunResult measureAlgorithms(const Options& options, int rounds, const Host& host, std::optional<Reporter>& reporter,
                            launch::JobComm& job, TuningRecord& record) {
  RunResult total;
  for (int round = 0; round < rounds; ++round) {
    for (const std::string& algorithm : record.algorithms()) {
      Options one = options;
      one.algorithm = algorithm;
      const RunResult result =
          runRanks(one, planSweeps(one), reporter ? reporter->observer(&record) : RunObserver{}, host, job);
      total.errors = result.errors;
      total.scratch_bytes = std::max(total.scratch_bytes, result.scratch_bytes);
      if (!total.errors.empty()) return total;
    }
  }
  return total;
}

/// Measures every algorithm, and writes those that are better than what the library takes by itself into the tuning
/// file. Returns the exit code.
int tune(const Options& options, const std::vector<Host>& hosts, launch::JobComm& job) {
  const int nnodes = countNodes(hosts);
  const int rounds = std::max(options.run_cycles, kLeastTuningRounds);
  TuningRecord record(options.nranks, nnodes);
  Options one_round = options;
  one_round.run_cycles = 1;
  std::optional<Reporter> reporter;
  if (job.isFirst()) {
    const std::size_t runs = record.algorithms().size() * static_cast<std::size_t>(rounds);
    reporter.emplace(options, countCases(planSweeps(options)) * runs, hosts);
  }
  RunResult result = askModel(one_round, hostOf(hosts, job), job, record);
  if (result.errors.empty()) result = measureAlgorithms(one_round, rounds, hostOf(hosts, job), reporter, job, record);
  if (const int exit_code = finish(reporter, result); exit_code != 0) return exit_code;
  if (!job.isFirst()) return 0;
  writeTuningFile(record, options.tuning_file);
  std::cout << record.text() << "# Choices for " << options.nranks << " ranks on " << nnodes << " node(s) written to "
            << options.tuning_file << "; to use them: SIGNCCL_TUNING_FILE=" << options.tuning_file << '\n';
  return 0;
}

/// Lowers options.max_bytes on all processes to what fits into the memory of each.
void agreeOnSizes(Options& options, const std::vector<Host>& hosts, launch::JobComm& job) {
  const std::size_t wanted_bytes = options.max_bytes;
  const std::string& machine = hostOf(hosts, job).machine;
  const auto nprocesses = std::ranges::count(hosts, machine, &Host::machine);
  fitIntoMemory(options, static_cast<int>(nprocesses) * options.nthreads, availableMemory());
  fitIntoGpus(options, hosts, hostOf(hosts, job));
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
  if (!parsed.options.tuning_file.empty()) {
    // An empty variable hides what the configuration files say, too: the model is to choose, or the algorithm forced.
    for (const char* name : {"SIGNCCL_ALGO", "SIGNCCL_TUNING_FILE"}) setenv(name, "", 1);
  }
  if (parsed.options.timeout_s > 0) {
    // For calls, and for what the processes tell each other between them.
    setenv("SIGNCCL_TIMEOUT", std::to_string(parsed.options.timeout_s).c_str(), 1);
  }
  return launch::runJob(parsed.job, "sign_all_reduce_perf", [&](launch::JobComm& job) {
    std::vector<Host> hosts = gatherHosts(job);
    assignGpus(parsed.options, hosts, job);
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
    signccl::launch::printErrorLine("sign_all_reduce_perf", error.what());
    return signccl::perf::kExitBadOptions;
  } catch (const std::exception& error) {
    signccl::launch::printErrorLine("sign_all_reduce_perf", error.what());
    return signccl::perf::kExitFailed;
  }
}
