/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/front/start.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/front/next.h"
#include "rules/wanted.h"

const SigncclMpiBack* signccl_mpi_back;

/* Launchers number their processes; where none did, each process speaks. */
static int isFirstProcess(void) {
  static const char* const kRanks[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
  size_t i;
  for (i = 0; i < sizeof kRanks / sizeof kRanks[0]; ++i) {
    const char* rank = getenv(kRanks[i]);
    if (rank != NULL) return strcmp(rank, "0") == 0;
  }
  return 1;
}

static void warn(const char* text, const char* detail) {
  if (isFirstProcess()) fprintf(stderr, "signccl: WARN %s%s; every MPI_Allreduce is forwarded\n", text, detail);
}

/* Writes the path of `file` beside the front itself; 0 if it is too long. */
static int besideFront(const char* file, char path[PATH_MAX]) {
  Dl_info front;
  const char* slash;
  int folder;
  if (dladdr((const void*)&signccl_mpi_back, &front) == 0) return 0;
  slash = strrchr(front.dli_fname, '/');
  folder = slash != NULL ? (int)(slash - front.dli_fname) + 1 : 0;
  return snprintf(path, PATH_MAX, "%.*s%s", folder, front.dli_fname, file) < PATH_MAX;
}

static const SigncclMpiBack* load(void) {
  const char* file = signcclMpiChooseBack();
  char path[PATH_MAX];
  void* back;
  SigncclMpiStart start;
  if (file == NULL) {
    warn(
        "SIGNCCL_RULES is set, but the process has no MPI that libsignccl_mpi.so knows: expected Open MPI, or one with "
        "the "
        "binary interface of MPICH",
        "");
    return NULL;
  }
  if (!besideFront(file, path)) return NULL;
  signcclMpiShowLibrary();
  back = dlopen(path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
  start = back != NULL ? (SigncclMpiStart)dlsym(back, SIGNCCL_MPI_START_NAME) : NULL;
  if (start == NULL) {
    warn("SIGNCCL_RULES is set, but the part of SignCCL for this MPI cannot be loaded: ", dlerror());
    return NULL;
  }
  return start(signcclMpiFindNext);
}

void signcclMpiLoadBack(void) {
  static int is_decided;
  if (__atomic_exchange_n(&is_decided, 1, __ATOMIC_ACQ_REL)) return;
  if (signcclRulesAreWanted()) __atomic_store_n(&signccl_mpi_back, load(), __ATOMIC_RELEASE);
}
