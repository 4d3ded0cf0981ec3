// SPDX-License-Identifier: Apache-2.0
// docs/settings.md, made from the tables of settings in the code.
//
//   settings_page docs/settings.md            compares; status 1 and the first line that differs if one does
//   settings_page --write docs/settings.md    writes the page anew
#include <fstream>
#include <iostream>
#include <span>
#include <sstream>
#include <string>

#include "base/settings.h"
#include "launch/launcher.h"

namespace {

constexpr const char* kBeginning = R"(# Settings

This page is made from the tables in `src/base/settings.cc` and `launch/launcher.cc`; a test compares them.

A setting is an environment variable, or a line `NAME=value` of a config file. It comes from the first of these places
that has it:

1. the environment;
2. the file that SIGNCCL_CONF_FILE names or, without that variable, `~/.signccl.conf`;
3. `/etc/signccl.conf`;
4. the field of `signcclConfig_t`, for SIGNCCL_NTHREADS, SIGNCCL_TIMEOUT and SIGNCCL_ALGO.

An empty value means "not set" and hides the places after it. In a file, blank lines and lines that begin with `#` are
comments. Settings are read when a communicator is made, and by `signcclGetUniqueId()`. A value that is not allowed is
signcclInvalidUsage, and the text names the value, where it stands, and what was expected. An unknown name in a file
is an error as well; in the environment it is a warning (SIGNCCL_DEBUG=WARN). SIGNCCL_DEBUG=INFO prints every setting
and where it comes from.

## Settings of the library

)";

constexpr const char* kOthers = R"(
SIGNCCL_ALGO, SIGNCCL_SLICE_BYTES, SIGNCCL_NCHANNELS, SIGNCCL_RANKS_PER_NODE and the contents of SIGNCCL_TUNING_FILE
must be the same on all ranks; ranks that differ get signcclInvalidUsage when they join.

## Variables of the Python package, the preload libraries and the benchmarks

They come from the environment alone.

)";

constexpr const char* kLaunchers = R"(
## Variables of launchers

The Python package (`Communicator.from_env()`), the benchmarks and `examples/digits` read them to find out how many
processes there are and where they meet (`docs/bootstrap.md`). The C API reads those that name the job, only to keep
jobs apart that meet at one SIGNCCL_COMM_ID. Blanks around a value are left out.

)";

constexpr const char* kUcx = R"(
## Variables of UCX

Processes exchange data over UCX, which has variables of its own (`UCX_TLS`, `UCX_NET_DEVICES`, ...). The library sets
some options of UCX where you have not set them, and UCX_NET_DEVICES to the interface that SIGNCCL_SOCKET_IFNAME or
the meeting of the ranks gave. An error of UCX names the variables of UCX that are set.
)";

/// A cell of a table: a bar would end it.
std::string cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) escaped += c == '|' ? "\\|" : std::string(1, c);
  return escaped;
}

std::string page() {
  std::ostringstream page;
  const auto table = [&](std::span<const signccl::SettingInfo> settings) {
    page << "| variable | values | meaning |\n| --- | --- | --- |\n";
    for (const signccl::SettingInfo& one : settings) {
      page << "| " << one.name << " | " << cell(one.values) << " | " << cell(one.meaning) << " |\n";
    }
  };
  page << kBeginning;
  table(signccl::knownSettings());
  page << kOthers;
  table(signccl::variablesOfOtherParts());
  page << kLaunchers << "| variables | set by | meaning |\n| --- | --- | --- |\n";
  for (const signccl::launch::LauncherVariable& one : signccl::launch::launcherVariables()) {
    page << "| " << one.names << " | " << cell(one.launcher) << " | " << cell(one.meaning) << " |\n";
  }
  page << kUcx;
  return page.str();
}

int compare(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    std::cerr << "cannot read " << path << '\n';
    return 1;
  }
  std::istringstream expected(page());
  for (int number = 1;; ++number) {
    std::string line;
    std::string wanted;
    const bool is_line = static_cast<bool>(std::getline(file, line));
    const bool is_wanted = static_cast<bool>(std::getline(expected, wanted));
    if (!is_line && !is_wanted) return 0;
    if (is_line == is_wanted && line == wanted) continue;
    std::cerr << path << ':' << number << ": has '" << line << "', expected '" << wanted
              << "'; settings_page --write makes the page anew\n";
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2) return compare(argv[1]);
  if (argc == 3 && std::string(argv[1]) == "--write") {
    std::ofstream file(argv[2]);
    file << page() << std::flush;
    if (file) return 0;
    std::cerr << "cannot write " << argv[2] << '\n';
    return 1;
  }
  std::cerr << "usage: settings_page [--write] FILE\n";
  return 2;
}
