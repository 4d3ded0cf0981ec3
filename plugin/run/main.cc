// SPDX-License-Identifier: Apache-2.0
// signccl-run: starts a program with the preload libraries. signccl-run --help says how.
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

#include "rules/environment.h"
#include "run/libraries.h"
#include "run/options.h"
#include "run/program.h"
#include "run/start.h"

namespace {

using namespace signccl;

constexpr int kUsage = 2;

/// MPICH's launcher waits for the other processes if one ends before MPI_Init(), in which they wait for it. So it is
/// asked to end the job, as MPI_Abort() asks it. Launchers without PMI end it themselves, or have an option for that.
void endJob(const rules::Environment& environment) {
  constexpr std::string_view kRequest = "cmd=abort exitcode=1\n";
  constexpr std::chrono::milliseconds kHeadStartOfRank0{500};
  constexpr std::chrono::milliseconds kTimeToRead{200};
  const std::string text = environment("PMI_FD");
  int descriptor = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), descriptor);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return;
  // Rank 0 says more than others. And once it has been asked, the launcher reads no more of what processes print.
  std::this_thread::sleep_for(environment("PMI_RANK") == "0" ? kTimeToRead : kHeadStartOfRank0 + kTimeToRead);
  // An old launcher that does not understand waits as it did before.
  (void)!write(descriptor, kRequest.data(), kRequest.size());
}

/// Prints what will happen, or what is wrong. Of the processes of a job the first one speaks for all; each that cannot
/// go on says one thing that is wrong, since it may be so on its host alone. Lines of several processes may come
/// together, so all are written at once.
void print(const run::Options& options, const run::Start& start, const std::optional<std::string>& rank) {
  const bool is_first = !rank || *rank == "0";
  const bool has_failed = start.exit_status != 0;
  std::string text;
  if (is_first && (has_failed || !options.is_quiet)) {
    for (const std::string& line : start.lines) text += "signccl-run: " + line + '\n';
  } else if (has_failed) {
    text = "signccl-run: rank " + *rank + ": " + start.lines.front() + '\n';
    if (start.lines.size() > 1) text += "signccl-run: rank " + *rank + ": and more, which rank 0 says\n";
  }
  std::cerr << text << std::flush;
}

int becomeProgram(const run::Options& options, const run::Start& start) {
  for (const auto& [name, value] : start.variables) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> arguments;
  for (const std::string& argument : options.command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  // Not execv, since a script without #! is started by the shell.
  execvp(start.program.c_str(), arguments.data());
  const int error = errno;
  std::cerr << "signccl-run: cannot start '" << start.program << "': " << std::generic_category().message(error)
            << '\n';
  return error == ENOENT ? run::kNotFound : run::kCannotRun;
}

int runProgram(const std::vector<std::string>& arguments) {
  const run::Options options = run::parseOptions(arguments);
  if (!options.text.empty()) {
    std::cout << options.text << std::flush;
    return EXIT_SUCCESS;
  }
  const run::Start start = run::planStart(options, rules::environmentVariable, run::programFolder());
  print(options, start, run::rankOf(rules::environmentVariable));
  const int status = start.exit_status != 0 ? start.exit_status : becomeProgram(options, start);
  endJob(rules::environmentVariable);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return runProgram(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const run::UsageError& error) {
    std::cerr << "signccl-run: " << error.what() << '\n';
    return kUsage;
  } catch (const std::exception& error) {
    std::cerr << "signccl-run: " << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
