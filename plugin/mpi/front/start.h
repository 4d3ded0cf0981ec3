/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the back that fits the program's MPI, if there are rules. */
#ifndef SIGNCCL_PLUGIN_MPI_FRONT_START_H_
#define SIGNCCL_PLUGIN_MPI_FRONT_START_H_

#include "mpi/border.h"

/* To be called when an MPI_Init() of the next library has returned. The first call decides. */
void signcclMpiLoadBack(void);

/* What carries out calls; null before the start, and if all calls are to be forwarded. Any thread. */
extern const SigncclMpiBack* signccl_mpi_back;

static inline const SigncclMpiBack* signcclMpiBack(void) {
  return __atomic_load_n(&signccl_mpi_back, __ATOMIC_ACQUIRE);
}

#endif /* SIGNCCL_PLUGIN_MPI_FRONT_START_H_ */
