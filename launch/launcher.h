// SPDX-License-Identifier: Apache-2.0
// Which process of how many this one is, as launchers say it in environment variables.
#ifndef SIGNCCL_LAUNCH_LAUNCHER_H_
#define SIGNCCL_LAUNCH_LAUNCHER_H_

#include <functional>
#include <optional>
#include <span>
#include <string>

namespace signccl::launch {

inline constexpr int kMostProcesses = 32767;

/// Gives the value of a variable, if it is set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// The environment of this process. Blanks around a value, and the carriage return of a file from Windows, are left
/// out, as the library does.
std::optional<std::string> environmentVariable(const std::string& name);

/// Variables that launchers set and this folder, the library or the Python package reads.
struct LauncherVariable {
  const char* names;  ///< one, or several with ", " between them
  const char* launcher;
  const char* meaning;
};

/// All of them; docs/settings.md is made from this table.
std::span<const LauncherVariable> launcherVariables();

/// A process's place in its job.
struct Place {
  int process = 0;  ///< 0 to nprocesses - 1
  int nprocesses = 1;
  std::string origin;  ///< who says so, for messages: "Open MPI", "--rank"
};

/// The place that a launcher gave this process; nothing if none did. Throws LaunchError if its variables contradict
/// each other or are no numbers.
std::optional<Place> placeFromLauncher(const Environment& environment);

/// The place that --rank and --nranks name. Throws LaunchError unless both are given and fit.
Place placeFromArguments(std::optional<int> rank, std::optional<int> nranks);

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_LAUNCHER_H_
