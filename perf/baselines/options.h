// SPDX-License-Identifier: Apache-2.0
// The command line of mpi_allreduce_perf.
#ifndef BASELINES_OPTIONS_H_
#define BASELINES_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "collective.h"

namespace baselines {

enum class Check : std::uint8_t { kYes, kNo };

struct Options {
  std::vector<std::string> ops = {"fp32"};
  std::vector<std::size_t> counts = {std::size_t{1} << 20};
  InPlace placement = InPlace::kNo;
  int warmup = 5;
  int iters = 20;
  Check check = Check::kYes;
  std::string json_file;  ///< empty: none
  int corrupt_rank = -1;  ///< damages its result before the check; -1: none
};

struct ParsedOptions {
  Options options;
  std::string message;  ///< not empty: print it and exit with `status`
  int status = 0;
};

/// Throws nothing: what is wrong with the command line, and the help, come as a message.
ParsedOptions parseOptions(int argc, const char* const* argv);

}  // namespace baselines

#endif  // BASELINES_OPTIONS_H_
