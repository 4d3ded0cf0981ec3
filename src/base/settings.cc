// SPDX-License-Identifier: Apache-2.0
#include "base/settings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "base/joined.h"
#include "base/private_file.h"

namespace signccl {
namespace {

constexpr std::array kSettings = std::to_array<SettingInfo>({
    {"SIGNCCL_ALGO", "oneshot, direct, ring, tree, knomial, hierarchical",
     "forces an algorithm, the same on every rank; unset: the cost model chooses by size"},
    {"SIGNCCL_COMM_ID", "host:port or [IPv6 address]:port",
     "where the ranks meet: rank 0 listens there, and no unique id has to be passed around; the same on every rank"},
    {"SIGNCCL_COMM_SECRET", "1 to 16 characters",
     "with SIGNCCL_COMM_ID: what a process must know to take part; the same on every rank"},
    {"SIGNCCL_COMM_SECRET_FILE", "a path of a file that no other user may read",
     "file whose first line is what SIGNCCL_COMM_SECRET would be"},
    {"SIGNCCL_CONF_FILE", "a path; in the environment only", "config file to read instead of ~/.signccl.conf"},
    {"SIGNCCL_CUDA_LIBRARY", "a path of libsignccl_cuda.so, or of the folder that holds it",
     "the kernels for GPUs; unset: the file beside libsignccl.so"},
    {"SIGNCCL_CUDA_WAIT", "memory, kernel",
     "how CUDA streams wait for the exchange: by memory operations of the driver, or by a kernel of one thread; unset: "
     "by memory operations if they work"},
    {"SIGNCCL_DEBUG", "VERSION, WARN, INFO, TRACE", "how much is logged; unset: nothing"},
    {"SIGNCCL_DEBUG_FILE", "a path; %h is the host, %p the process id", "file of the log; unset: standard output"},
    {"SIGNCCL_DEBUG_SUBSYS",
     "comma list of INIT, COLL, NET, TUNING, ENV, ALLOC, CALL, BOOTSTRAP, DESTROY, INTERPOSE, ALL; ^ before the list: "
     "all but these",
     "subsystems that log at INFO and TRACE; unset: INIT,BOOTSTRAP,ENV,INTERPOSE"},
    {"SIGNCCL_DEBUG_TIMESTAMP_FORMAT", "a strftime format", "local time before each line; unset: none"},
    {"SIGNCCL_HOSTID", "any text",
     "a name for the node: ranks with the same name count as one node; unset: the host's name and the boot id of its "
     "kernel"},
    {"SIGNCCL_KERNELS", "scalar, avx2, avx512, neon", "forces a kernel instruction set; unset: the best of the CPU"},
    {"SIGNCCL_LINK_MBIT", "1 to 100000000, in Mbit/s",
     "speed of this host's link to the others, for the cost model; unset: what the network interface says, or "
     "10000"},
    {"SIGNCCL_NCCL_LIBRARY", "a path of libnccl.so.2, or of the folder that holds it",
     "NCCL to load if the process has none yet, and the real NCCL behind the preload library; unset: the one that the "
     "dynamic linker finds"},
    {"SIGNCCL_NCHANNELS", "1 to 16, the same on every rank",
     "connections to each peer, which the slices of a large vector take in turn; unset: 1"},
    {"SIGNCCL_NTHREADS", "1 to 1024",
     "threads that run kernels for a rank, the caller's included; unset: the cores of the machine, or the CPU quota of "
     "the container, shared among its ranks"},
    {"SIGNCCL_RANKS_PER_NODE", "1 to 32767", "for tests: pretends that so many ranks make a node"},
    {"SIGNCCL_SLICE_BYTES", "64 to 2^30",
     "a vector is cut into slices of at most this many bytes of signs, so that sending and computing overlap; unset: "
     "32768 per rank, at least 131072 and at most 1048576"},
    {"SIGNCCL_SOCKET_IFNAME", "comma list of prefixes of names; = before it: whole names; ^ before it: all but these",
     "network interfaces to use; unset: the one through which the ranks reach each other when they meet"},
    {"SIGNCCL_TIMEOUT", "1 to 2147483, in seconds", "longest time of one operation; unset: 600"},
    {"SIGNCCL_TRACE", "a path; %h is the host, %p the process id",
     "file of a timeline in Chrome's trace event format, which Perfetto opens; processes that share the name get a "
     "file each, with the rank in its name; unset: none"},
    {"SIGNCCL_TRANSPORT", "host, nccl; the same on every rank",
     "how votes of buffers on GPUs travel: through pinned host memory, or from GPU to GPU by NCCL; unset: host, or "
     "nccl where "
     "the communicator is made with one of NCCL"},
    {"SIGNCCL_TUNING_FILE", "a path",
     "file of sign_all_reduce_perf --tune that chooses algorithms, the same on every rank; unset: the cost model"},
    {"SIGNCCL_UCX_LIBRARY", "a path of libucp.so.0, or of the folder that holds it",
     "UCX to load if the process has none yet; unset: the one that the dynamic linker finds"},
});

constexpr std::array kVariablesOfOtherParts = std::to_array<SettingInfo>({
    {"SIGNCCL_INTERPOSE", "on, off, dry; the same on every rank",
     "preload libraries: off forwards everything; dry reports what the rules would take and forwards everything; "
     "unset: "
     "on"},
    {"SIGNCCL_INTERPOSE_TIMEOUT", "1 to 3600, in seconds",
     "preload libraries: longest time from the end of MPI_Init(), or from when a communicator of NCCL is made, until "
     "its "
     "ranks have compared their rules; unset: 8"},
    {"SIGNCCL_JAX_LIBRARY", "a path of libsignccl_jax.so", "Python: the handlers for JAX; unset: those of the package"},
    {"SIGNCCL_LIBRARY", "a path of libsignccl.so",
     "Python: the library to load; unset: that of the package, else the system's"},
    {"SIGNCCL_RULES", "a path of a rules file, or its text; the same rules on every rank",
     "preload libraries: which allreduces they take over (docs/preload.md); unset: none"},
    {"SIGNCCL_TESTS_MIN_BW", "a number of GB/s, 0 or more",
     "sign_all_reduce_perf: it fails if the average of busbw is below this; unset: not checked"},
});

bool isIn(std::span<const SettingInfo> table, std::string_view name) {
  return std::ranges::any_of(table, [&](const SettingInfo& info) { return name == info.name; });
}

bool isKnown(std::string_view name) { return isIn(kSettings, name); }

std::string knownNames() { return joined(kSettings, ", ", &SettingInfo::name); }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool equalWithoutCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::optional<std::int64_t> parseInteger(std::string_view text) {
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  if (hexadecimal) text.remove_prefix(2);
  if (hexadecimal && text.starts_with('-')) return std::nullopt;
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, hexadecimal ? 16 : 10);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

/// Splits one line of a config file; nothing for a blank line or a comment.
std::optional<Settings::Entry> parseLine(std::string_view line, const std::string& place) {
  line = trimmed(line);
  if (line.empty() || line.front() == '#') return std::nullopt;
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw Error(signcclInvalidUsage, place + ": expected NAME=value, found '" + std::string(line) + "'");
  }
  Settings::Entry entry{std::string(trimmed(line.substr(0, equals))), std::string(trimmed(line.substr(equals + 1))),
                        place};
  if (!isKnown(entry.name)) {
    throw Error(signcclInvalidUsage,
                place + ": there is no setting '" + entry.name + "'; the settings are " + knownNames());
  }
  if (entry.name == "SIGNCCL_CONF_FILE") {
    throw Error(signcclInvalidUsage, place + ": SIGNCCL_CONF_FILE has an effect in the environment only");
  }
  return entry;
}

/// Of a file that has a secret at `place`.
void requirePrivate(const std::string& file, const std::string& place) {
  const std::string why = whyOthersCanRead(file);
  if (why.empty()) return;
  throw Error(signcclInvalidUsage,
              place + ": the file has a secret, so no other user may read it: " + why + ", expected 0600");
}

}  // namespace

std::span<const SettingInfo> knownSettings() { return kSettings; }

std::span<const SettingInfo> variablesOfOtherParts() { return kVariablesOfOtherParts; }

std::string Settings::Entry::shownValue() const {
  return name == "SIGNCCL_COMM_SECRET" && !value.empty() ? "(hidden)" : value;
}

Settings Settings::load(const std::string& system_file) {
  Settings settings;
  settings.readEnvironment();
  const std::optional<std::string> named_file = settings.text("SIGNCCL_CONF_FILE");
  const auto readable = [](const std::string& file) { return access(file.c_str(), R_OK) == 0; };
  if (named_file) {
    settings.readFile(*named_file);
  } else if (const char* home = std::getenv("HOME"); home != nullptr) {
    const std::string file = std::string(home) + "/.signccl.conf";
    if (readable(file)) settings.readFile(file);
  }
  if (readable(system_file)) settings.readFile(system_file);
  return settings;
}

std::optional<std::string> Settings::text(std::string_view name) const {
  const Entry* entry = find(name);
  if (entry == nullptr || entry->value.empty()) return std::nullopt;
  return entry->value;
}

std::int64_t Settings::integer(std::string_view name, std::int64_t fallback, std::int64_t min, std::int64_t max) const {
  const std::optional<std::string> given = text(name);
  if (!given) return fallback;
  const std::optional<std::int64_t> value = parseInteger(*given);
  if (!value || *value < min || *value > max) {
    reject(name, "an integer from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return *value;
}

std::string Settings::choice(std::string_view name, std::span<const std::string_view> allowed,
                             std::string_view fallback) const {
  const std::optional<std::string> given = text(name);
  if (!given) return std::string(fallback);
  for (std::string_view candidate : allowed) {
    if (equalWithoutCase(*given, candidate)) return std::string(candidate);
  }
  std::string expected;
  for (std::string_view candidate : allowed) expected += (expected.empty() ? "one of " : ", ") + std::string(candidate);
  reject(name, expected);
}

void Settings::reject(std::string_view name, const std::string& expected) const {
  const Entry* entry = find(name);
  SIGNCCL_ASSERT(entry != nullptr);
  throw Error(signcclInvalidUsage,
              entry->name + "=" + entry->shownValue() + " (from " + entry->origin + "): expected " + expected);
}

const Settings::Entry* Settings::find(std::string_view name) const {
  SIGNCCL_ASSERT(isKnown(name));
  const auto found = std::ranges::find(entries_, name, &Entry::name);
  return found == entries_.end() ? nullptr : &*found;
}

void Settings::add(Entry entry) {
  if (find(entry.name) == nullptr) entries_.push_back(std::move(entry));
}

void Settings::readEnvironment() {
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view assignment = *variable;
    const std::string_view name = assignment.substr(0, assignment.find('='));
    if (!name.starts_with("SIGNCCL_") || name.size() == assignment.size()) continue;
    if (isKnown(name)) {
      add({std::string(name), std::string(trimmed(assignment.substr(name.size() + 1))), "the environment"});
    } else if (!isIn(kVariablesOfOtherParts, name)) {
      unknown_variables_.emplace_back(name);
    }
  }
}

void Settings::readFile(const std::string& file) {
  const auto fail = [&](int error) {
    throw Error(signcclInvalidUsage,
                "cannot read the config file " + file + ": " + std::generic_category().message(error));
  };
  errno = 0;
  std::ifstream stream(file);
  if (!stream) fail(errno);
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    const std::string place = file + ":" + std::to_string(number);
    std::optional<Entry> entry = parseLine(line, place);
    if (!entry) continue;
    if (entry->name == "SIGNCCL_COMM_SECRET" && !entry->value.empty()) requirePrivate(file, place);
    add(std::move(*entry));
  }
  // A directory opens well and fails only when it is read.
  if (stream.bad()) fail(errno);
}

}  // namespace signccl
