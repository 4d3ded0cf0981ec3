// SPDX-License-Identifier: Apache-2.0
// The command line of signccl-run.
#ifndef SIGNCCL_PLUGIN_RUN_OPTIONS_H_
#define SIGNCCL_PLUGIN_RUN_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "run/libraries.h"

namespace signccl::run {

/// What the command line asks for.
struct Options {
  std::optional<std::string> rules;  ///< --rules
  bool is_dry = false;               ///< --dry
  Wanted wanted = Wanted::kAuto;     ///< --mpi, --nccl, --auto
  bool is_quiet = false;             ///< --quiet
  std::vector<std::string> command;  ///< the program and its arguments; at least one
  std::string text;                  ///< of --help or --version: to be printed instead of all else
};

/// A command line that is wrong; what() says what was given and what was expected.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Options end at `--` or at the first argument without a dash. Throws UsageError.
Options parseOptions(const std::vector<std::string>& arguments);

}  // namespace signccl::run

#endif  // SIGNCCL_PLUGIN_RUN_OPTIONS_H_
