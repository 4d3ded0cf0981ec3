// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <sstream>

#include <CLI/CLI.hpp>

namespace baselines {
namespace {

/// "64M" becomes 64 * 2^20. CLI11 says what else is wrong with a number.
CLI::Validator countSuffix() {
  return CLI::AsNumberWithUnit(
      std::map<std::string, std::size_t>{
          {"K", std::size_t{1} << 10}, {"M", std::size_t{1} << 20}, {"G", std::size_t{1} << 30}},
      CLI::AsNumberWithUnit::CASE_INSENSITIVE, "COUNT");
}

void addOptions(CLI::App& app, Options& options) {
  app.add_option("-o,--op", options.ops,
                 "fp32, int8: MPI_Allreduce of sums; bits: a vote on signs by MPI_Alltoall and "
                 "MPI_Allgather")
      ->check(CLI::IsMember(opNames()))
      ->capture_default_str();
  app.add_option("-c,--count", options.counts, "elements, with suffix K, M or G (powers of 1024)")
      ->transform(countSuffix())
      ->check(CLI::Range(std::size_t{1}, std::size_t{0x7fffffff}))
      ->capture_default_str();
  app.add_flag_function(
      "--in-place", [&options](std::int64_t) { options.placement = InPlace::kYes; }, "one buffer per rank");
  app.add_option("-w,--warmup", options.warmup, "untimed iterations")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  app.add_option("-n,--iters", options.iters, "timed iterations")
      ->check(CLI::Range(1, 10000000))
      ->capture_default_str();
  app.add_flag_function("--no-check", [&options](std::int64_t) { options.check = Check::kNo; }, "do not check results");
  app.add_option("-J,--json", options.json_file, "write the results to this file too");
  app.add_option("--corrupt", options.corrupt_rank, "damage a result of this rank")->group("");
}

}  // namespace

ParsedOptions parseOptions(int argc, const char* const* argv) {
  ParsedOptions parsed;
  CLI::App app("Times what MPI offers in place of a sign collective. Run it with mpirun.", "mpi_allreduce_perf");
  addOptions(app, parsed.options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream text;
    parsed.status = app.exit(error, text, text) == 0 ? 0 : 2;
    parsed.message = text.str();
  }
  return parsed;
}

}  // namespace baselines
