// SPDX-License-Identifier: Apache-2.0
// Compares Distributed Lion over SignCCL with Lion and AdamW on handwritten digits; see README.md.
#include <algorithm>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "data.h"
#include "launch/error_line.h"
#include "launch/job.h"
#include "options.h"
#include "plot.h"
#include "report.h"
#include "trainer.h"

namespace digits {
namespace {

using signccl::launch::JobComm;

Entry trainEntry(const Options& options, const Method& method, Sharding sharding, int workers, const Split& data,
                 JobComm& job) {
  Entry entry{.sharding = sharding, .method = method, .workers = workers, .seeds = options.seeds, .runs = {}};
  for (const std::uint64_t seed : options.seeds) {
    entry.runs.push_back(train({.method = method,
                                .sharding = sharding,
                                .workers = workers,
                                .algorithm = options.algorithm,
                                .steps = options.steps,
                                .batch = options.batch,
                                .eval_every = options.eval_every,
                                .seed = seed},
                               data, job));
  }
  return entry;
}

/// Trains everything that the options ask for; process 0 prints a row as soon as its runs have ended.
std::vector<Entry> trainAll(const Options& options, const Split& data, JobComm& job) {
  std::vector<Entry> entries;
  for (const Sharding sharding : options.shardings) {
    if (job.isFirst()) printHead(std::cout, sharding);
    for (const int workers : options.workers) {
      for (const Method& method : options.methods) {
        entries.push_back(trainEntry(options, method, sharding, workers, data, job));
        if (job.isFirst()) printRow(std::cout, entries.back());
      }
    }
  }
  return entries;
}

void writeFiles(const std::filesystem::path& directory, const std::vector<Entry>& entries) {
  writeCsv(directory, entries);
  const auto plots = writePlots(directory, entries);
  std::cout << "written to " << directory.string() << ": curves.csv, summary.csv";
  for (const std::filesystem::path& plot : plots) std::cout << ", " << plot.filename().string();
  std::cout << '\n';
}

void printTask(const Options& options, const Split& data, int nprocesses) {
  std::cout << data.training.size() << " digits to train on, " << data.held_out.size() << " held out; "
            << Mlp().parameterCount() << " parameters; " << options.steps << " steps, " << options.batch
            << " digits per worker and step; " << options.seeds.size() << " seed(s); workers are threads of "
            << (nprocesses == 1 ? "one process" : std::to_string(nprocesses) + " processes") << '\n';
}

bool replicasAgree(const std::vector<Entry>& entries) {
  return std::ranges::all_of(
      entries, [](const Entry& entry) { return std::ranges::all_of(entry.runs, &RunResult::replicas_agree); });
}

/// Gives the exit code: 0 if the workers of every run ended with the same parameters.
int compare(const Options& options, JobComm& job) {
  const Split data = splitDigits(readDigits(options.data_file), options.held_out);
  if (job.isFirst()) printTask(options, data, job.nprocesses());
  const auto entries = trainAll(options, data, job);
  if (job.isFirst()) {
    printFoot(std::cout, entries);
    if (!options.out.empty()) writeFiles(options.out, entries);
  }
  return replicasAgree(entries) ? 0 : 1;
}

}  // namespace
}  // namespace digits

int main(int argc, char** argv) {
  try {
    int exit_code = 0;
    const auto options = digits::parseOptions(argc, argv, exit_code);
    if (!options) return exit_code;
    return signccl::launch::runJob(options->job, "digits", [&](auto& job) { return digits::compare(*options, job); });
  } catch (const std::exception& error) {
    signccl::launch::printErrorLine("digits", error.what());
    return 1;
  }
}
