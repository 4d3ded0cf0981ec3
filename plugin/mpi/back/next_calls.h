// SPDX-License-Identifier: Apache-2.0
// MPI's collectives as the front finds them behind itself, so that tools that are preloaded behind it see the traffic.
// Questions that stay in the process go to the PMPI functions.
#ifndef SIGNCCL_PLUGIN_MPI_BACK_NEXT_CALLS_H_
#define SIGNCCL_PLUGIN_MPI_BACK_NEXT_CALLS_H_

#include <mpi.h>

#include "mpi/border.h"

namespace signccl::mpi {

struct NextCalls {
  explicit NextCalls(SigncclMpiNext next);

  decltype(&MPI_Allgather) all_gather;
  decltype(&MPI_Allreduce) all_reduce;
  decltype(&MPI_Iallreduce) all_reduce_async;

  /// The smallest of all ranks' values. Collective.
  [[nodiscard]] int smallest(int value, MPI_Comm comm) const;
};

}  // namespace signccl::mpi

#endif  // SIGNCCL_PLUGIN_MPI_BACK_NEXT_CALLS_H_
