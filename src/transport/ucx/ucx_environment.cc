// SPDX-License-Identifier: Apache-2.0
#include "transport/ucx/ucx_environment.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <sys/statvfs.h>

namespace signccl {
namespace {

/// The names of a list such as "tcp,posix,ud:aux", without what is behind their colons.
std::vector<std::string_view> namesIn(std::string_view list) {
  std::vector<std::string_view> names;
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    names.push_back(item.substr(0, item.find(':')));
    list.remove_prefix(std::min(item.size() + 1, list.size()));
  }
  return names;
}

/// `all_of_them`: names that mean every transport of a kind; `some`: those of one each.
bool tlsLeaves(std::initializer_list<std::string_view> all_of_them, std::initializer_list<std::string_view> some) {
  const char* const tls = std::getenv("UCX_TLS");
  if (tls == nullptr) return true;
  const std::string_view list = tls;
  const bool excludes = list.starts_with('^');
  const std::vector<std::string_view> names = namesIn(excludes ? list.substr(1) : list);
  const auto has_any = [&](std::initializer_list<std::string_view> wanted) {
    return std::ranges::find_first_of(names, wanted) != names.end();
  };
  return excludes ? !has_any(all_of_them) : has_any({"all"}) || has_any(all_of_them) || has_any(some);
}

/// What UCX 1.13.1 takes of /dev/shm for a worker, and what is enough for all workers of a host.
constexpr double kMegabytesOfWorker = 4.3;
constexpr double kMegabytesForAllWorkers = 1000;

constexpr const char* kAdvice = "; or set UCX_TLS=^posix";

std::string inMegabytes(double megabytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", megabytes);
  return text.data();
}

}  // namespace

bool ucxMayUseSharedMemory() { return tlsLeaves({"sm", "shm", "mm"}, {"posix", "sysv", "xpmem"}); }

bool ucxMayUseTcp() { return tlsLeaves({"tcp"}, {}); }

std::string ucxVariablesOfUser() {
  std::vector<std::string_view> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (std::string_view(*variable).starts_with("UCX_")) variables.emplace_back(*variable);
  }
  if (variables.empty()) return {};
  std::ranges::sort(variables);
  std::string text = " (the environment has ";
  for (const std::string_view variable : variables) {
    if (variable != variables.front()) text += ", ";
    text += variable;
  }
  return text + ")";
}

std::string lackOfSharedMemory() {
  struct statvfs folder{};
  if (!ucxMayUseSharedMemory() || statvfs("/dev/shm", &folder) != 0) return {};
  if ((folder.f_flag & ST_RDONLY) != 0) return std::string(" (/dev/shm is read-only: make it writable") + kAdvice + ")";
  const double unit = static_cast<double>(folder.f_frsize) / 1e6;
  return lackOfSharedMemory(unit * static_cast<double>(folder.f_bavail), unit * static_cast<double>(folder.f_blocks));
}

std::string lackOfSharedMemory(double free, double total) {
  if (free >= kMegabytesOfWorker && total >= kMegabytesForAllWorkers) return {};
  return " (/dev/shm has " + inMegabytes(free) + " of " + inMegabytes(total) + " MB free, and a rank takes " +
         inMegabytes(kMegabytesOfWorker) + ": make it larger, in a container by --shm-size" + kAdvice + ")";
}

}  // namespace signccl
