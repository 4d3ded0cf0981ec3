// SPDX-License-Identifier: Apache-2.0
// What signccl-run does before it becomes the program.
#ifndef SIGNCCL_PLUGIN_RUN_START_H_
#define SIGNCCL_PLUGIN_RUN_START_H_

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "rules/environment.h"
#include "run/options.h"

namespace signccl::run {

/// How the program is to be started, or why it cannot be.
struct Start {
  int exit_status = 0;                                         ///< 0: the program can be started
  std::vector<std::pair<std::string, std::string>> variables;  ///< to be set in its environment
  std::string program;                                         ///< its file
  std::vector<std::string> lines;                              ///< to be printed
};

/// Reads the rules, and looks for the libraries and the program. `program_folder` holds signccl-run. All that is wrong is
/// said at once.
Start planStart(const Options& options, const rules::Environment& environment,
                const std::filesystem::path& program_folder);

/// Rank of this process as its launcher says it; nothing if no launcher does.
std::optional<std::string> rankOf(const rules::Environment& environment);

}  // namespace signccl::run

#endif  // SIGNCCL_PLUGIN_RUN_START_H_
