// SPDX-License-Identifier: Apache-2.0
#include "run/options.h"

namespace signccl::run {
namespace {

constexpr const char* kHelp = R"(usage: signccl-run [options] [--] program [argument...]

Starts a program so that SignCCL takes over those of its MPI or NCCL allreduces that a rules file names. The program
needs no change. Under a launcher it stands before the program:

  mpirun -n 4 signccl-run --rules rules.json -- ./program

  --rules FILE   the rules, or their text if it begins with {; without it those of SIGNCCL_RULES
  --dry          take nothing, and report what the rules would take
  --mpi          preload the library for MPI alone
  --nccl         preload the stand-in for NCCL alone
  --auto         preload both, or the one that is installed (default)
  --quiet        do not print what will happen
  --help         print this
  --version      print the version

Exit status: that of the program; 1 if the rules are wrong or no library can be preloaded; 2 for a wrong command line;
126 if the program cannot be started; 127 if it is not found.
)";

}  // namespace

Options parseOptions(const std::vector<std::string>& arguments) {
  Options options;
  std::optional<std::string> library;
  std::size_t i = 0;
  const auto choose = [&](const std::string& argument, Wanted wanted) {
    if (library && *library != argument) {
      throw UsageError(*library + " and " + argument + ": expected one of --mpi, --nccl, --auto");
    }
    library = argument;
    options.wanted = wanted;
  };
  for (; i < arguments.size() && arguments[i].starts_with('-'); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      ++i;
      break;
    }
    if (argument == "--rules") {
      if (++i == arguments.size()) throw UsageError("--rules: expected a file after it");
      options.rules = arguments[i];
    } else if (argument.starts_with("--rules=")) {
      options.rules = argument.substr(std::string("--rules=").size());
    } else if (argument == "--dry") {
      options.is_dry = true;
    } else if (argument == "--mpi") {
      choose(argument, Wanted::kMpi);
    } else if (argument == "--nccl") {
      choose(argument, Wanted::kNccl);
    } else if (argument == "--auto") {
      choose(argument, Wanted::kAuto);
    } else if (argument == "--quiet") {
      options.is_quiet = true;
    } else if (argument == "--help" || argument == "-h") {
      options.text = kHelp;
      return options;
    } else if (argument == "--version") {
      options.text = "signccl-run " SIGNCCL_RUN_VERSION "\n";
      return options;
    } else {
      throw UsageError(argument + ": no such option; signccl-run --help lists them, and -- ends them");
    }
  }
  if (options.rules && options.rules->find_first_not_of(" \t\r\n") == std::string::npos) {
    throw UsageError("--rules: expected a file, found an empty text");
  }
  options.command.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
  if (options.command.empty()) throw UsageError("expected a program to start; signccl-run --help says more");
  return options;
}

}  // namespace signccl::run
