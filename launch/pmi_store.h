// SPDX-License-Identifier: Apache-2.0
// The key-value space of PMI-1, through which the processes of MPICH's Hydra, Intel's mpiexec and srun --mpi=pmi2 meet
// without anybody's help. Source: the simple PMI-1 wire protocol, as MPICH documents it.
#ifndef SIGNCCL_LAUNCH_PMI_STORE_H_
#define SIGNCCL_LAUNCH_PMI_STORE_H_

#include <chrono>
#include <string>

namespace signccl::launch {

/// Gives `value` of process 0, letters and digits alone, to all. Every process of the job calls it once, and none of
/// them calls MPI_Init(), which speaks to the launcher by the same descriptor. `descriptor`: what PMI_FD says. Throws
/// LaunchError, also if not all have called it after `timeout`.
std::string pmiShare(const std::string& descriptor, int process, const std::string& value,
                     std::chrono::milliseconds timeout);

}  // namespace signccl::launch

#endif  // SIGNCCL_LAUNCH_PMI_STORE_H_
