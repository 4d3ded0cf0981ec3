/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int worldRank(void) {
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

static double element(int i, int rank, Values values) {
  unsigned mixed = ((unsigned)i * 4u + (unsigned)rank + 1) * 2654435761u;
  mixed = (mixed ^ mixed >> 15) * 2246822519u;
  mixed ^= mixed >> 13;
  if (values == kZeros && mixed % 5 == 0) return 0;
  if (rank == 1 && i == kCount - 7) {
    if (values == kTwo) return 2;
    if (values == kNan) return NAN;
    if (values == kMinusZero) return -0.0;
  }
  if (values == kTwoElsewhere && rank == 2 && i == 12345) return 2;
  return mixed % 2 == 0 ? 1 : -1;
}

void fill(void* elements, MPI_Datatype type, Values values) {
  const int rank = worldRank();
  int i;
  for (i = 0; i < kCount; ++i) {
    const double value = element(i, rank, values);
    if (type == MPI_INT8_T) ((int8_t*)elements)[i] = (int8_t)value;
    if (type == MPI_FLOAT) ((float*)elements)[i] = (float)value;
    if (type == MPI_DOUBLE) ((double*)elements)[i] = value;
  }
}

void require(int is_true, const char* what) {
  if (is_true) return;
  fprintf(stderr, "rank %d: WRONG: %s\n", worldRank(), what);
  MPI_Abort(MPI_COMM_WORLD, 3);
}

void sumIsThatOfMpi(const char* what, MPI_Datatype type, Values values, Place place, MPI_Comm comm) {
  int bytes_per_element;
  size_t bytes;
  void *send, *recv, *expected;
  MPI_Type_size(type, &bytes_per_element);
  bytes = (size_t)kCount * (size_t)bytes_per_element;
  send = malloc(bytes);
  recv = malloc(bytes);
  expected = malloc(bytes);
  fill(send, type, values);
  fill(recv, type, values);
  PMPI_Allreduce(send, expected, kCount, type, MPI_SUM, comm);
  require(MPI_Allreduce(place == kInPlace ? MPI_IN_PLACE : send, recv, kCount, type, MPI_SUM, comm) == MPI_SUCCESS,
          what);
  require(memcmp(recv, expected, bytes) == 0, what);
  free(send);
  free(recv);
  free(expected);
}
