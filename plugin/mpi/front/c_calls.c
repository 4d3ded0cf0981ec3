/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of MPI for C that the front stands before. */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>

#include "mpi/border.h"
#include "mpi/front/next.h"
#include "mpi/front/start.h"

#define SHOWN __attribute__((visibility("default")))

/* What is returned where there is nothing to forward to. Any number but 0 is an error in MPI, and the classes of errors
   differ between MPIs. */
enum { kNothingBehind = 16 };

typedef int (*Init)(int*, char***);
typedef int (*InitThread)(int*, char***, int, int*);
typedef int (*AllReduce)(const void*, void*, int, SigncclMpiHandle, SigncclMpiHandle, SigncclMpiHandle);
typedef int (*AllReduceLarge)(const void*, void*, int64_t, SigncclMpiHandle, SigncclMpiHandle, SigncclMpiHandle);

/* The names are MPI's. NOLINTBEGIN(readability-identifier-naming) */
SHOWN int MPI_Init(int* argc, char*** argv);
SHOWN int MPI_Init_thread(int* argc, char*** argv, int required, int* provided);
SHOWN int MPI_Allreduce(const void* send, void* recv, int count, SigncclMpiHandle type, SigncclMpiHandle op,
                        SigncclMpiHandle comm);
SHOWN int MPI_Allreduce_c(const void* send, void* recv, int64_t count, SigncclMpiHandle type, SigncclMpiHandle op,
                          SigncclMpiHandle comm);
/* NOLINTEND(readability-identifier-naming) */

static int nothingBehind(const char* name) {
  fprintf(stderr, "signccl: %s: no library that the process has loaded defines it\n", name);
  return kNothingBehind;
}

int MPI_Init(int* argc, char*** argv) {
  static void* slot;
  const Init next = (Init)signcclMpiNextOnce(&slot, "MPI_Init");
  int result;
  if (next == NULL) return nothingBehind("MPI_Init");
  result = next(argc, argv);
  if (result == 0) signcclMpiLoadBack();
  return result;
}

int MPI_Init_thread(int* argc, char*** argv, int required, int* provided) {
  static void* slot;
  const InitThread next = (InitThread)signcclMpiNextOnce(&slot, "MPI_Init_thread");
  int result;
  if (next == NULL) return nothingBehind("MPI_Init_thread");
  result = next(argc, argv, required, provided);
  if (result == 0) signcclMpiLoadBack();
  return result;
}

int MPI_Allreduce(const void* send, void* recv, int count, SigncclMpiHandle type, SigncclMpiHandle op,
                  SigncclMpiHandle comm) {
  static void* slot;
  const SigncclMpiBack* back = signcclMpiBack();
  AllReduce next;
  if (back != NULL) {
    const SigncclMpiAllReduce call = {send, recv, count, type, op, comm};
    int result;
    if (back->allReduce(&call, &result)) return result;
  }
  next = (AllReduce)signcclMpiNextOnce(&slot, "MPI_Allreduce");
  return next != NULL ? next(send, recv, count, type, op, comm) : nothingBehind("MPI_Allreduce");
}

/* Of MPI 4. A program that asks at run time whether its MPI has it finds the front's: with an older MPI, calls that fit
   go to MPI_Allreduce(). */
int MPI_Allreduce_c(const void* send, void* recv, int64_t count, SigncclMpiHandle type, SigncclMpiHandle op,
                    SigncclMpiHandle comm) {
  static void* slot;
  const SigncclMpiBack* back = signcclMpiBack();
  AllReduceLarge next;
  if (back != NULL) {
    const SigncclMpiAllReduce call = {send, recv, count, type, op, comm};
    int result;
    if (back->allReduce(&call, &result)) return result;
  }
  next = (AllReduceLarge)signcclMpiNextOnce(&slot, "MPI_Allreduce_c");
  if (next != NULL) return next(send, recv, count, type, op, comm);
  if (count > INT_MAX || count < INT_MIN) return nothingBehind("MPI_Allreduce_c");
  {
    static void* small_slot;
    const AllReduce small = (AllReduce)signcclMpiNextOnce(&small_slot, "MPI_Allreduce");
    return small != NULL ? small(send, recv, (int)count, type, op, comm) : nothingBehind("MPI_Allreduce_c");
  }
}
