// SPDX-License-Identifier: Apache-2.0
#include "host/cpu_quota.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <sys/stat.h>

namespace signccl {
namespace {

// Strings, not std::filesystem::path, which crashes in libstdc++ when memory runs out.

/// A hierarchy of groups, and where this process is in it.
struct Membership {
  std::string mount;
  std::string group;  ///< below the mount: "/a/b", or empty for the outermost one
  bool is_v2 = false;
};

/// One line of /proc/self/cgroup: "0::/group" of version 2, "4:cpu,cpuacct:/group" of version 1.
std::vector<Membership> membershipsIn(const std::string& line, const std::string& mounts) {
  const std::size_t first = line.find(':');
  const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
  if (second == std::string::npos) return {};
  const std::string controllers = line.substr(first + 1, second - first - 1);
  std::string group = line.substr(second + 1);
  // Seen from a namespace of groups, a group outside begins with "..": its files are not mounted.
  if (group == "/" || group == "/.." || group.starts_with("/../")) group.clear();
  if (controllers.empty()) return {{mounts, group, true}};
  if (("," + controllers + ",").find(",cpu,") == std::string::npos) return {};
  return {{mounts + "/cpu", group, false}, {mounts + "/" + controllers, group, false}};
}

std::optional<double> coresOfV2(const std::string& folder) {
  double quota = 0;
  double period = 0;
  std::ifstream file(folder + "/cpu.max");  // "max 100000" where there is no limit
  return file >> quota >> period && quota > 0 && period > 0 ? std::optional(quota / period) : std::nullopt;
}

std::optional<double> coresOfV1(const std::string& folder) {
  double quota = 0;
  double period = 0;
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us");  // -1 where there is no limit
  std::ifstream period_file(folder + "/cpu.cfs_period_us");
  const bool has_both = quota_file >> quota && period_file >> period;
  return has_both && quota > 0 && period > 0 ? std::optional(quota / period) : std::nullopt;
}

CpuQuota quotaOf(const std::string& folder, bool is_v2) {
  const std::optional<double> cores = is_v2 ? coresOfV2(folder) : coresOfV1(folder);
  constexpr double kMostCores = std::numeric_limits<std::uint32_t>::max() / 1000.0;
  struct stat group{};
  if (!cores || *cores >= kMostCores || stat(folder.c_str(), &group) != 0) return {};
  return {std::max(1U, static_cast<std::uint32_t>(*cores * 1000)), static_cast<std::uint64_t>(group.st_ino)};
}

}  // namespace

CpuQuota cpuQuota(const std::string& root) {
  CpuQuota smallest;
  std::ifstream lines(root + "/proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    for (const Membership& one : membershipsIn(line, root + "/sys/fs/cgroup")) {
      // In a container without a namespace of groups, its own group is mounted where the outermost one would be, and
      // the path that the kernel tells is not there.
      for (std::string group = one.group;; group.resize(group.rfind('/'))) {
        const CpuQuota quota = quotaOf(one.mount + group, one.is_v2);
        const bool is_smaller = smallest.millicores == 0 || quota.millicores < smallest.millicores;
        if (quota.millicores != 0 && is_smaller) smallest = quota;
        if (group.empty()) break;
      }
    }
  }
  return smallest;
}

}  // namespace signccl
