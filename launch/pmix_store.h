// SPDX-License-Identifier: Apache-2.0
// The key-value store of PMIx, through which the processes of mpirun and srun meet without anybody's help.
#ifndef SIGNCCL_LAUNCH_PMIX_STORE_H_
#define SIGNCCL_LAUNCH_PMIX_STORE_H_

#include <chrono>
#include <string>

namespace signccl::launch {

/// Whether this build has PMIx; without it the other functions throw LaunchError.
bool hasPmix();

/// Number of processes in the job of this one. Throws LaunchError.
int pmixJobSize();

/// Gives `value` of process 0, any bytes, to all. Every process of the job calls it once. Throws LaunchError, also if
/// not all have called it after `timeout`.
std::string pmixShare(int process, const std::string& value, std::chrono::seconds timeout);

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_PMIX_STORE_H_
