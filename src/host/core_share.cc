// SPDX-License-Identifier: Apache-2.0
#include "host/core_share.h"

#include <bit>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <sched.h>
#include <thread>
#include <vector>

namespace signccl {
namespace {

/// More cores than any machine has: the kernel refuses a mask that is too short for it.
constexpr std::size_t kMostCores = std::size_t{1} << 20;

bool overlap(const CoresOfRank& a, const CoresOfRank& b) {
  if (a.machine != b.machine) return false;
  if (a.cores.empty() || b.cores.empty()) return true;
  for (std::size_t i = 0; i < std::min(a.cores.size(), b.cores.size()); ++i) {
    if ((a.cores[i] & b.cores[i]) != 0) return true;
  }
  return false;
}

/// A rank that used more cores than its quota has would be stopped while all others wait for it: so whole ones.
int coresOf(const CpuQuota& quota) { return std::max(1, static_cast<int>(quota.millicores / 1000)); }

int count(std::string_view cores) {
  int sum = 0;
  for (const char byte : cores) sum += std::popcount(static_cast<unsigned char>(byte));
  return sum;
}

}  // namespace

std::string usableCores() {
  constexpr std::size_t kBitsPerLong = sizeof(unsigned long) * CHAR_BIT;
  for (std::size_t ncores = 1024; ncores <= kMostCores; ncores *= 2) {
    std::vector<unsigned long> mask(ncores / kBitsPerLong);
    if (sched_getaffinity(0, mask.size() * sizeof mask[0], reinterpret_cast<cpu_set_t*>(mask.data())) != 0) {
      if (errno == EINVAL) continue;
      break;
    }
    std::string cores;
    for (std::size_t core = 0; core < ncores; core += CHAR_BIT) {
      cores.push_back(static_cast<char>((mask[core / kBitsPerLong] >> (core % kBitsPerLong)) & 0xffU));
    }
    cores.erase(cores.find_last_not_of('\0') + 1);
    return cores;
  }
  return {};
}

int usableCoreCount() {
  const int bound = count(usableCores());
  const int cores = bound > 0 ? bound : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const CpuQuota quota = cpuQuota();
  return quota.millicores == 0 ? cores : std::min(cores, coresOf(quota));
}

double mostRanksPerCore(std::vector<CoresOfRank> ranks) {
  std::ranges::sort(ranks, {}, &CoresOfRank::machine);
  double most = 1;
  for (auto first = ranks.begin(); first != ranks.end();) {
    const auto last = std::ranges::upper_bound(first, ranks.end(), first->machine, {}, &CoresOfRank::machine);
    const std::span machine(first, last);
    for (Rank one = 0; one < static_cast<Rank>(machine.size()); ++one) {
      most = std::max(most, coreShare(machine, one).ranksPerCore());
    }
    first = last;
  }
  return most;
}

CoreShare coreShare(std::span<const CoresOfRank> ranks, Rank rank) {
  const CoresOfRank& mine = ranks[static_cast<std::size_t>(rank)];
  const auto sharing = std::ranges::count_if(ranks, [&](const CoresOfRank& other) { return overlap(mine, other); });
  const CoreShare by_cores{static_cast<int>(sharing), std::max(1, count(mine.cores))};
  if (mine.quota.millicores == 0) return by_cores;
  const auto limited = std::ranges::count_if(ranks, [&](const CoresOfRank& other) {
    return other.machine == mine.machine && other.quota.group == mine.quota.group;
  });
  const CoreShare by_quota{static_cast<int>(limited), coresOf(mine.quota)};
  return by_quota.cores * by_cores.ranks < by_cores.cores * by_quota.ranks ? by_quota : by_cores;
}

}  // namespace signccl
