// SPDX-License-Identifier: Apache-2.0
// How many processor cores a rank has to itself.
#ifndef SIGNCCL_HOST_CORE_SHARE_H_
#define SIGNCCL_HOST_CORE_SHARE_H_

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "host/cpu_quota.h"

namespace signccl {

/// Ranks that may run on the cores of a rank, itself included, and the number of those cores.
struct CoreShare {
  int ranks = 1;
  int cores = 1;

  [[nodiscard]] int threadsPerRank() const { return std::max(1, cores / ranks); }
  [[nodiscard]] bool hasOwnCore() const { return ranks <= cores; }
  /// Whether each rank has a core for its caller and one for a thread beside it.
  [[nodiscard]] bool hasCoreForSecondThread() const { return 2 * ranks <= cores; }
  /// At least 1.
  [[nodiscard]] double ranksPerCore() const { return std::max(1.0, static_cast<double>(ranks) / cores); }

  friend bool operator==(const CoreShare&, const CoreShare&) = default;
};

/// The cores that the calling thread may use, as launchers bind them: core i is bit i % 8 of byte i / 8. The last byte
/// is not 0. Empty if the kernel does not say.
std::string usableCores();

/// Their number, or what the quota of this process's control group is worth if that is less; at least 1.
int usableCoreCount();

/// What one rank tells of itself.
struct CoresOfRank {
  std::string_view machine;
  std::string_view cores;  ///< as of usableCores(); empty: any of the machine
  CpuQuota quota = {};
};

/// The share of `rank`. Ranks whose cores overlap on one machine share them, and ranks of one control group share its
/// quota, in whole cores: what allows a rank less. A rank that does not say which cores it uses is taken to have one.
CoreShare coreShare(std::span<const CoresOfRank> ranks, Rank rank);

/// The largest CoreShare::ranksPerCore() of any rank.
double mostRanksPerCore(std::vector<CoresOfRank> ranks);

}  // namespace signccl

#endif  // SIGNCCL_HOST_CORE_SHARE_H_
