/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the front and a back know of each other. The front (libsignccl_mpi.so) is what a program preloads: it knows no
 * MPI's header and needs the C library alone. A back (libsignccl_mpi_openmpi.so, libsignccl_mpi_mpich.so) is compiled
 * with the header of one MPI, and the front loads the one that fits when the program calls MPI_Init().
 */
#ifndef SIGNCCL_PLUGIN_MPI_BORDER_H_
#define SIGNCCL_PLUGIN_MPI_BORDER_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An MPI handle, which is a pointer in Open MPI and an int in MPICH. Both travel in one register of the C calling
   conventions of x86-64 and 64-bit Arm; of an int the upper half is undefined, and the back drops it. */
typedef uintptr_t SigncclMpiHandle;

typedef struct {
  const void* send;
  void* recv;
  int64_t count;
  SigncclMpiHandle type;
  SigncclMpiHandle op;
  SigncclMpiHandle comm;
} SigncclMpiAllReduce;

/* The arguments of MPI_ALLREDUCE in Fortran. `ierror` may be null: it is optional in the module mpi_f08. */
typedef struct {
  const void* send;
  void* recv;
  const int* count;
  const int* type;
  const int* op;
  const int* comm;
  int* ierror;
} SigncclMpiFortranAllReduce;

/* The definition of an MPI function that follows the front's in the order of symbol search; null if there is none. */
typedef void* (*SigncclMpiNext)(const char* name);

/* What a back gives the front. The calls return 1 if the back has carried the call out, and its result is in `result`
   or in `ierror`; 0 if the front is to forward it, and nothing has been written then. */
typedef struct {
  int (*allReduce)(const SigncclMpiAllReduce* call, int* result);
  /* Null where the MPI's Fortran layer calls the C function, which the front sees. */
  int (*fortranAllReduce)(const SigncclMpiFortranAllReduce* call);
} SigncclMpiBack;

/* Exported by a back. Called once, when MPI_Init() of the next library has returned, in its thread. Null: everything is
   to be forwarded. Ends the job if the rules are bad or differ between ranks. */
typedef const SigncclMpiBack* (*SigncclMpiStart)(SigncclMpiNext next);
#define SIGNCCL_MPI_START_NAME "signcclMpiStart"

#ifdef __cplusplus
}
#endif

#endif /* SIGNCCL_PLUGIN_MPI_BORDER_H_ */
