/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of MPI as its users write it: sums a vector of signs again and again and prints how long each call took on
 * the slowest rank. perf/mpi_preload.py compiles it, and runs it plain and preloaded.
 *
 *   mpi_preload <int8|float32> <elements> <calls> <signs|first|last>
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kWarmUps = 3 };

static void fill(void* elements, int is_int8, long count, int rank) {
  uint32_t state = 12345u + (uint32_t)rank;
  long i;
  for (i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    if (is_int8)
      ((int8_t*)elements)[i] = state >> 31 ? 1 : -1;
    else
      ((float*)elements)[i] = state >> 31 ? 1 : -1;
  }
}

/* FNV-1a of the result, so that runs can be compared. */
static uint64_t digest(const unsigned char* bytes, size_t size) {
  uint64_t value = 0xcbf29ce484222325u;
  size_t i;
  for (i = 0; i < size; ++i) value = (value ^ bytes[i]) * 0x100000001b3u;
  return value;
}

int main(int argc, char** argv) {
  int rank, i;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (argc != 5) {
    if (rank == 0) fprintf(stderr, "usage: mpi_preload <int8|float32> <elements> <calls> <signs|first|last>\n");
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  const int is_int8 = strcmp(argv[1], "int8") == 0;
  const long count = atol(argv[2]);
  const int calls = atoi(argv[3]);
  const size_t bytes = (size_t)count * (is_int8 ? 1 : sizeof(float));
  const MPI_Datatype type = is_int8 ? MPI_INT8_T : MPI_FLOAT;
  void* send = malloc(bytes);
  void* recv = malloc(bytes);
  fill(send, is_int8, count, rank);
  memset(recv, 0, bytes);
  if (strcmp(argv[4], "signs") != 0 && rank == 1) { /* one element is no sign: the first or the last one */
    const long index = strcmp(argv[4], "first") == 0 ? 0 : count - 1;
    if (is_int8)
      ((int8_t*)send)[index] = 2;
    else
      ((float*)send)[index] = 2;
  }
  for (i = -kWarmUps; i < calls; ++i) {
    double begin, time, slowest;
    MPI_Barrier(MPI_COMM_WORLD);
    begin = MPI_Wtime();
    MPI_Allreduce(send, recv, (int)count, type, MPI_SUM, MPI_COMM_WORLD);
    time = MPI_Wtime() - begin;
    MPI_Reduce(&time, &slowest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    if (rank == 0 && i >= 0) printf("time %.9f\n", slowest);
  }
  if (rank == 0) printf("digest %016llx\n", (unsigned long long)digest(recv, bytes));
  free(send);
  free(recv);
  return MPI_Finalize();
}
