// SPDX-License-Identifier: Apache-2.0
#include "mpi/back/next_calls.h"

namespace signccl::mpi {

NextCalls::NextCalls(SigncclMpiNext next)
    : all_gather(reinterpret_cast<decltype(&MPI_Allgather)>(next("MPI_Allgather"))),
      all_reduce(reinterpret_cast<decltype(&MPI_Allreduce)>(next("MPI_Allreduce"))),
      all_reduce_async(reinterpret_cast<decltype(&MPI_Iallreduce)>(next("MPI_Iallreduce"))) {}

int NextCalls::smallest(int value, MPI_Comm comm) const {
  int result = 0;
  if (all_reduce(&value, &result, 1, MPI_INT, MPI_MIN, comm) != MPI_SUCCESS) return 0;
  return result;
}

}  // namespace signccl::mpi
