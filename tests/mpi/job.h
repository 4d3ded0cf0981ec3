/* SPDX-License-Identifier: Apache-2.0 */
/* A job of MPI that checks each of its own all-reduces against PMPI_Allreduce(), which no preload library changes. */
#ifndef SIGNCCL_TESTS_MPI_JOB_H_
#define SIGNCCL_TESTS_MPI_JOB_H_

#include <mpi.h>
#include <stddef.h>

/* Just enough elements for a rule that says no minimum. */
enum { kCount = 65536 };

/* What the elements are; kTwo to kMinusZero: signs but for one element of rank 1 (of rank 2 where it is elsewhere). */
typedef enum { kSigns, kZeros, kTwo, kTwoElsewhere, kNan, kMinusZero } Values;

/* Fills [kCount] elements of MPI_INT8_T, MPI_FLOAT or MPI_DOUBLE for this rank of MPI_COMM_WORLD. */
void fill(void* elements, MPI_Datatype type, Values values);

/* Ends the job if `is_true` is 0. */
void require(int is_true, const char* what);

typedef enum { kOutOfPlace, kInPlace } Place;

/* Calls MPI_Allreduce() with sums of such values on all ranks, and requires the bytes of PMPI_Allreduce(). Any
   thread. */
void sumIsThatOfMpi(const char* what, MPI_Datatype type, Values values, Place place, MPI_Comm comm);

#endif /* SIGNCCL_TESTS_MPI_JOB_H_ */
