// SPDX-License-Identifier: Apache-2.0
// The command line.
#ifndef DIGITS_OPTIONS_H_
#define DIGITS_OPTIONS_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data.h"
#include "launch/job.h"
#include "method.h"

namespace digits {

struct Options {
  signccl::launch::Job job;  ///< the processes that share the workers out
  std::vector<int> workers = {4, 8};
  std::vector<std::uint64_t> seeds = {1, 2, 3};
  std::vector<Method> methods;  ///< with their settings
  std::vector<Sharding> shardings = {Sharding::kOwn, Sharding::kWhole};
  std::string algorithm = "direct";  ///< empty: the library chooses
  int steps = 1000;
  int batch = 8;  ///< per worker
  int eval_every = 25;
  HeldOut held_out = HeldOut::kTest;
  std::string data_file;
  std::filesystem::path out;  ///< empty: write no files
};

/// Parses the command line. Where it is wrong or asks for help, prints that and gives no options but an exit code.
std::optional<Options> parseOptions(int argc, const char* const* argv, int& exit_code);

}  // namespace digits

#endif  // DIGITS_OPTIONS_H_
