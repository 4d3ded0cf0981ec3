/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three ranks vote on the signs of eight numbers.
 *
 *   hello                                                 all ranks in this process, driven by one thread
 *   SIGNCCL_COMM_ID=localhost:29600 mpirun -n 3 hello     one rank per process; srun and torchrun do as well
 */
#include <stdio.h>
#include <stdlib.h>

#include <signccl/signccl.h>

enum { kRanks = 3, kCount = 8 };

static void check(signcclResult_t result) {
  if (result == signcclSuccess) return;
  fprintf(stderr, "%s\n", signcclGetLastError(NULL));
  exit(1);
}

/* The number that torchrun, Open MPI, MPICH or Slurm gives in one of its variables, or `fallback`. */
static int fromLauncher(const char* const names[4], int fallback) {
  int i;
  for (i = 0; i < 4; ++i) {
    const char* const text = getenv(names[i]);
    if (text != NULL) return (int)strtol(text, NULL, 10);
  }
  return fallback;
}

int main(void) {
  const char* const ranks[4] = {"RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"};
  const char* const sizes[4] = {"WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"};
  const int first = fromLauncher(ranks, 0);    /* the first rank of this process */
  const int launched = fromLauncher(sizes, 1); /* processes */
  const int local = launched > 1 ? 1 : kRanks; /* ranks of this process */
  const int nranks = launched > 1 ? launched : kRanks;
  signcclComm_t comms[kRanks];
  float values[kRanks][kCount];
  int i, r;

  if (launched > 1) {
    signcclUniqueId id;
    if (getenv("SIGNCCL_COMM_ID") == NULL) {
      fprintf(stderr,
              "SIGNCCL_COMM_ID is not set, expected host:port of rank 0, the same on all "
              "processes, such as localhost:29600\n");
      return 1;
    }
    check(signcclGetUniqueId(&id)); /* with SIGNCCL_COMM_ID each process makes the same id */
    check(signcclCommInitRank(&comms[0], nranks, id, first));
  } else {
    check(signcclCommInitAll(comms, nranks, NULL));
  }

  check(signcclGroupStart()); /* one thread calls for several ranks, so the calls are made in a group */
  for (r = 0; r < local; ++r) {
    for (i = 0; i < kCount; ++i) values[r][i] = (i >> (first + r) % 3) & 1 ? 0.5f : -2.0f;
    check(signcclAllReduceVote(values[r], values[r], kCount, signcclFloat32, signcclFloat32, NULL, comms[r], NULL));
  }
  check(signcclGroupEnd());

  for (r = 0; r < local; ++r) {
    printf("rank %d of %d:", first + r, nranks);
    for (i = 0; i < kCount; ++i) printf(" %+.0f", (double)values[r][i]);
    printf("\n");
    check(signcclCommDestroy(comms[r]));
  }
  return 0;
}
