/* SPDX-License-Identifier: Apache-2.0 */
/* Another tool that stands before MPI, as profilers do: counts MPI_Allreduce() and prints the number at the end.
   Compiled twice, with TOOL being its name, so that one can be preloaded before SignCCL and one behind. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <mpi.h>
#include <stdio.h>

static int calls;

int MPI_Allreduce(const void* send, void* recv, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm) {
  typedef int (*Function)(const void*, void*, int, MPI_Datatype, MPI_Op, MPI_Comm);
  if (count >= 65536) __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
  return ((Function)dlsym(RTLD_NEXT, "MPI_Allreduce"))(send, recv, count, type, op, comm);
}

#if defined(MPICH_VERSION) && MPI_VERSION >= 4
int MPI_Allreduce_c(const void* send, void* recv, MPI_Count count, MPI_Datatype type, MPI_Op op, MPI_Comm comm) {
  typedef int (*Function)(const void*, void*, MPI_Count, MPI_Datatype, MPI_Op, MPI_Comm);
  if (count >= 65536) __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
  return ((Function)dlsym(RTLD_NEXT, "MPI_Allreduce_c"))(send, recv, count, type, op, comm);
}
#endif

int MPI_Finalize(void) {
  typedef int (*Function)(void);
  int rank;
  PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0) printf("rank 0: tool %s saw %d calls\n", TOOL, calls);
  fflush(stdout);
  return ((Function)dlsym(RTLD_NEXT, "MPI_Finalize"))();
}
