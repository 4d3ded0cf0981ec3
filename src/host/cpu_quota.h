// SPDX-License-Identifier: Apache-2.0
// How much processor time the control groups of this process allow: the limit of a container.
#ifndef SIGNCCL_HOST_CPU_QUOTA_H_
#define SIGNCCL_HOST_CPU_QUOTA_H_

#include <cstdint>
#include <string>

namespace signccl {

struct CpuQuota {
  std::uint32_t millicores = 0;  ///< thousandths of a core; 0: no limit
  std::uint64_t group = 0;       ///< the control group: processes of one machine with the same number share the limit

  friend bool operator==(const CpuQuota&, const CpuQuota&) = default;
};

/// The smallest quota of the group of this process and the groups around it, as far as they are mounted: cpu.max of
/// version 2 of control groups, cpu.cfs_quota_us of version 1. `root` is before /proc and /sys; tests have
/// their own.
CpuQuota cpuQuota(const std::string& root = "");

}  // namespace signccl

#endif  // SIGNCCL_HOST_CPU_QUOTA_H_
