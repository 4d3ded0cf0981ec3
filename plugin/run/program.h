// SPDX-License-Identifier: Apache-2.0
// The program that is to be started: where it is, and whether it would be started without the preload libraries.
#ifndef SIGNCCL_PLUGIN_RUN_PROGRAM_H_
#define SIGNCCL_PLUGIN_RUN_PROGRAM_H_

#include <string>

namespace signccl::run {

/// As env(1) exits.
inline constexpr int kCannotRun = 126;
inline constexpr int kNotFound = 127;

struct Program {
  std::string path;     ///< empty if it cannot be started
  std::string problem;  ///< why it cannot
  int exit_status = 0;  ///< kCannotRun or kNotFound if it cannot
};

/// Looks for the program as a shell does: a name without a slash in the folders of `search_path`, the value of PATH.
Program findProgram(const std::string& name, const std::string& search_path);

/// Why the dynamic linker ignores LD_PRELOAD for the program at `path`, or for the interpreter of a script; empty if it
/// does not.
std::string whyPreloadIsIgnored(const std::string& path);

}  // namespace signccl::run

#endif  // SIGNCCL_PLUGIN_RUN_PROGRAM_H_
