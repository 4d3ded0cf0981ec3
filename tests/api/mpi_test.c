/* SPDX-License-Identifier: Apache-2.0 */
/* A job of MPI over UCX that votes beside its own collectives: both use the one UCX that the process has. Each rank
   runs mpi_test under mpirun; run_mpi_test.sh starts it. */
#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "signccl/signccl.h"

enum { kCount = 100000, kRounds = 50 };

static float input[kCount];
static float sum[kCount];
static signed char vote[kCount];

/* The vote of all ranks must have the sign of the sum of all ranks' +1 and -1. */
static int roundIsRight(signcclComm_t comm, int rank, int round) {
  signcclSignConfig_t rules = SIGNCCL_SIGN_CONFIG_INITIALIZER;
  int i;
  rules.tieRule = signcclTiePositive;
  for (i = 0; i < kCount; ++i) input[i] = (i * 7 + rank * 3 + round) % 5 < 2 ? -1.0f : 1.0f;
  if (signcclAllReduceVote(input, vote, kCount, signcclFloat32, signcclInt8, &rules, comm, NULL) != signcclSuccess) {
    fprintf(stderr, "rank %d: %s\n", rank, signcclGetLastError(NULL));
    return 0;
  }
  MPI_Allreduce(input, sum, kCount, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  for (i = 0; i < kCount; ++i) {
    if (vote[i] != (sum[i] >= 0 ? 1 : -1)) {
      fprintf(stderr, "rank %d, element %d: vote %d of sum %g\n", rank, i, vote[i], (double)sum[i]);
      return 0;
    }
  }
  return 1;
}

/* How many files named libucp the process has mapped. */
static int countUcx(void) {
  char line[1024];
  char first[1024] = "";
  int count = 0;
  FILE* const maps = fopen("/proc/self/maps", "r");
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
    const char* const path = strchr(line, '/');
    if (path == NULL || strstr(path, "/libucp") == NULL || strcmp(path, first) == 0) continue;
    strcpy(first, path);
    ++count;
  }
  if (maps != NULL) fclose(maps);
  return count;
}

int main(int argc, char** argv) {
  signcclUniqueId id;
  signcclComm_t comm;
  int rank = 0;
  int nranks = 0;
  int round;
  int is_right = 1;

  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &nranks);
  if (rank == 0) signcclGetUniqueId(&id);
  MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, MPI_COMM_WORLD);
  if (signcclCommInitRank(&comm, nranks, id, rank) != signcclSuccess) {
    fprintf(stderr, "rank %d: %s\n", rank, signcclGetLastError(NULL));
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  for (round = 0; round < kRounds && is_right; ++round) is_right = roundIsRight(comm, rank, round);
  if (countUcx() != 1) {
    fprintf(stderr, "rank %d has %d libucp mapped, expected 1\n", rank, countUcx());
    is_right = 0;
  }
  signcclCommDestroy(comm);
  if (!is_right) MPI_Abort(MPI_COMM_WORLD, 1);
  MPI_Finalize();
  return 0;
}
