// sign_all_reduce_perf: measures and checks the collectives, with the options, columns and JSON of nccl-tests.
//
// Exit codes: 0 all well; 1 wrong results, a rank that failed, or less bandwidth than SIGNCCL_TESTS_MIN_BW demands; 2
// options that cannot be run.
#include <cstdio>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <unistd.h>

#include "sign_all_reduce_perf/json_report.h"
#include "sign_all_reduce_perf/options.h"
#include "sign_all_reduce_perf/plan.h"
#include "sign_all_reduce_perf/progress.h"
#include "sign_all_reduce_perf/runner.h"
#include "sign_all_reduce_perf/table.h"

namespace signccl::perf {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitBadOptions = 2;

std::size_t countCases(const std::vector<Sweep>& sweeps, const Options& options) {
  std::size_t ncases = 0;
  for (const Sweep& sweep : sweeps) ncases += sweep.timed.size();
  return ncases * static_cast<std::size_t>(options.run_cycles);
}

/// Runs all cases and prints them as they end. Returns the exit code.
int measure(const Options& options) {
  const std::vector<Sweep> sweeps = planSweeps(options);
  std::optional<JsonReport> json;
  if (!options.output_file.empty()) {
    json.emplace(options);
    std::cout << "# Writing JSON output to " << json->path() << '\n';
  }
  Progress progress(std::cerr, isatty(STDERR_FILENO) != 0 ? Terminal::kYes : Terminal::kNo,
                    countCases(sweeps, options));
  Summary summary;
  RunObserver observer;
  observer.started = [&](const RunInfo& info) {
    const Host host = thisHost();
    std::cout << formatHeader(options, info, host) << std::flush;
    if (json) json->start(options, info, host);
  };
  observer.row = [&](const Row& row) {
    progress.erase();
    progress.advance();
    summary.add(row);
    std::cout << formatRow(row, options) << std::flush;
    if (json) json->add(row);
  };
  observer.phase = [&](const std::string& phase) { progress.show(phase); };

  const RunResult result = runRanks(options, sweeps, observer);
  progress.erase();
  std::cout << formatFooter(summary, result, options) << std::flush;
  for (const std::string& error : result.errors) std::cerr << "sign_all_reduce_perf: " << error << '\n';
  if (json) json->finish(summary, result, options);
  const bool okay = result.errors.empty() && summary.nwrong() == 0 && summary.bandwidthOkay(options);
  return okay ? 0 : kExitFailed;
}

int run(int argc, const char* const* argv) {
  ParsedOptions parsed = parseOptions(argc, argv);
  if (!parsed.help.empty()) {
    std::cout << parsed.help;
    return 0;
  }
  const std::size_t wanted_bytes = parsed.options.max_bytes;
  fitIntoMemory(parsed.options, availableMemory());
  if (parsed.options.max_bytes < wanted_bytes) {
    std::cout << "# Reducing maxBytes to " << parsed.options.max_bytes << " due to memory limitation\n";
  }
  return measure(parsed.options);
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
