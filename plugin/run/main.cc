// SPDX-License-Identifier: Apache-2.0
// signccl-run: starts a program with the preload libraries. signccl-run --help says how.
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>
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

/// Prints what will happen, or what is wrong. Of the processes of a job the first one speaks for all; each that cannot go
/// on says one thing that is wrong, since it may be so on its host alone. Lines of several processes may come together, so
/// all are written at once.
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
  return start.exit_status != 0 ? start.exit_status : becomeProgram(options, start);
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
