/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same functions for Fortran, under each name that a compiler may give them. They are needed for Open MPI, whose
 * Fortran layer calls the PMPI functions: the front would not see them. MPICH's calls the functions for C.
 */
#include <stdio.h>
#include <stdlib.h>

#include "mpi/border.h"
#include "mpi/front/next.h"
#include "mpi/front/start.h"

#define SHOWN __attribute__((visibility("default")))

typedef void (*Init)(int*);
typedef void (*InitThread)(int*, int*, int*);
typedef void (*AllReduce)(const void*, void*, const int*, const int*, const int*, const int*, int*);

/* A subroutine of Fortran can return its error in `ierror` alone, which it need not have. */
static void* nextOrExit(void** slot, const char* name) {
  void* next = signcclMpiNextOnce(slot, name);
  if (next == NULL) {
    fprintf(stderr, "signccl: %s: no library that the process has loaded defines it\n", name);
    exit(EXIT_FAILURE);
  }
  return next;
}

static int isSuccess(const int* ierror) { return ierror == NULL || *ierror == 0; }

static void init(void** slot, const char* name, int* ierror) {
  ((Init)nextOrExit(slot, name))(ierror);
  if (isSuccess(ierror)) signcclMpiLoadBack();
}

static void initThread(void** slot, const char* name, int* required, int* provided, int* ierror) {
  ((InitThread)nextOrExit(slot, name))(required, provided, ierror);
  if (isSuccess(ierror)) signcclMpiLoadBack();
}

static void allReduce(void** slot, const char* name, const SigncclMpiFortranAllReduce* call) {
  const SigncclMpiBack* back = signcclMpiBack();
  if (back != NULL && back->fortranAllReduce != NULL && back->fortranAllReduce(call)) return;
  ((AllReduce)nextOrExit(slot, name))(call->send, call->recv, call->count, call->type, call->op, call->comm,
                                      call->ierror);
}

#define DEFINE_INIT(name)       \
  SHOWN void name(int* ierror); \
  void name(int* ierror) {      \
    static void* slot;          \
    init(&slot, #name, ierror); \
  }

#define DEFINE_INIT_THREAD(name)                              \
  SHOWN void name(int* required, int* provided, int* ierror); \
  void name(int* required, int* provided, int* ierror) {      \
    static void* slot;                                        \
    initThread(&slot, #name, required, provided, ierror);     \
  }

#define DEFINE_ALL_REDUCE(name)                                                                                    \
  SHOWN void name(const void* send, void* recv, const int* count, const int* type, const int* op, const int* comm, \
                  int* ierror);                                                                                    \
  void name(const void* send, void* recv, const int* count, const int* type, const int* op, const int* comm,       \
            int* ierror) {                                                                                         \
    static void* slot;                                                                                             \
    const SigncclMpiFortranAllReduce call = {send, recv, count, type, op, comm, ierror};                           \
    allReduce(&slot, #name, &call);                                                                                \
  }

/* The names are those of MPI in Fortran. NOLINTBEGIN(readability-identifier-naming) */
DEFINE_INIT(mpi_init)
DEFINE_INIT(mpi_init_)
DEFINE_INIT(mpi_init__)
DEFINE_INIT(MPI_INIT)
DEFINE_INIT(mpi_init_f08_)

DEFINE_INIT_THREAD(mpi_init_thread)
DEFINE_INIT_THREAD(mpi_init_thread_)
DEFINE_INIT_THREAD(mpi_init_thread__)
DEFINE_INIT_THREAD(MPI_INIT_THREAD)
DEFINE_INIT_THREAD(mpi_init_thread_f08_)

DEFINE_ALL_REDUCE(mpi_allreduce)
DEFINE_ALL_REDUCE(mpi_allreduce_)
DEFINE_ALL_REDUCE(mpi_allreduce__)
DEFINE_ALL_REDUCE(MPI_ALLREDUCE)
DEFINE_ALL_REDUCE(mpi_allreduce_f08_)
/* NOLINTEND(readability-identifier-naming) */
