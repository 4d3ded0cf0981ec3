// SPDX-License-Identifier: Apache-2.0
// Ranks that follow different rules would call different collectives and wait for each other forever. So the ranks
// compare their rules when MPI has started, before any call can match.
#ifndef SIGNCCL_PLUGIN_MPI_BACK_SAME_RULES_H_
#define SIGNCCL_PLUGIN_MPI_BACK_SAME_RULES_H_

#include <chrono>
#include <cstdint>

#include "mpi/back/next_calls.h"

namespace signccl::mpi {

/// Returns if all ranks of MPI_COMM_WORLD have called it with the same digest; else ends the job and says why, after
/// `deadline` at the latest: a rank without the preload library never calls it.
void requireSameRules(std::uint64_t digest, std::chrono::milliseconds deadline, const NextCalls& next);

}  // namespace signccl::mpi

#endif  // SIGNCCL_PLUGIN_MPI_BACK_SAME_RULES_H_
