/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads the back, libsignccl_nccl_preload.so, which has the rules. Only a process that has rules and calls one of the
 * functions below does; all others pay for the front alone.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "front.h"
#include "interface.h"
#include "rules/wanted.h"

#define BACK "libsignccl_nccl_preload.so"

/* The functions that the back may take. */
static const char* const wrapped[] = {
    "ncclAllReduce",
    "ncclAllReduceConfig",
    "ncclCommAbort",
    "ncclCommDestroy",
    "ncclCommFinalize",
    "ncclCommGetAsyncError",
    "ncclCommGrow",
    "ncclCommInitAll",
    "ncclCommInitRank",
    "ncclCommInitRankConfig",
    "ncclCommInitRankScalable",
    "ncclCommRevoke",
    "ncclCommShrink",
    "ncclCommSplit",
    "ncclGetLastError",
    "ncclGroupEnd",
    "ncclGroupSimulateEnd",
    "ncclGroupStart",
};

extern const char signcclNcclStandIn[]; /* NOLINT(readability-identifier-naming): an exported name */

int signcclNcclIsActive(void) { return signcclRulesAreWanted(); }

static int isWrapped(const char* name) {
  for (size_t i = 0; i < sizeof(wrapped) / sizeof(wrapped[0]); ++i) {
    if (strcmp(wrapped[i], name) == 0) return 1;
  }
  return 0;
}

/* The back is beside the front, or where libsignccl.so is, of which the front has the folder signccl/preload. */
static void* openBack(char* said, size_t bytes) {
  static const char* const places[] = {"/" BACK, "/../../" BACK};
  snprintf(said, bytes, "it is not in the folder of the stand-in, nor two folders above");
  Dl_info own;
  if (dladdr((const void*)signcclNcclStandIn, &own) == 0) return NULL;
  const char* const slash = strrchr(own.dli_fname, '/');
  const int length = slash == NULL ? 0 : (int)(slash - own.dli_fname);
  for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); ++i) {
    char path[4096];
    struct stat status;
    const int written = snprintf(path, sizeof(path), "%.*s%s", length, own.dli_fname, places[i]);
    if (written < 0 || (size_t)written >= sizeof(path) || stat(path, &status) != 0) continue;
    void* const handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle != NULL) return handle;
    snprintf(said, bytes, "%s", dlerror());
    return NULL;
  }
  return NULL;
}

/* In place of collectives, where there are rules and nothing that reads them. */
static int withoutBack(void) { return SIGNCCL_NCCL_SYSTEM_ERROR; }

static SigncclNcclBackFunction backFunction(void) {
  static SigncclNcclBackFunction found;
  static int is_said;
  SigncclNcclBackFunction function = __atomic_load_n(&found, __ATOMIC_ACQUIRE);
  if (function != NULL) return function;
  char said[1024];
  void* const handle = openBack(said, sizeof(said));
  if (handle != NULL) *(void**)&function = dlsym(handle, SIGNCCL_NCCL_BACK_FUNCTION);
  if (handle != NULL && function == NULL)
    snprintf(said, sizeof(said), "it has no function " SIGNCCL_NCCL_BACK_FUNCTION);
  __atomic_store_n(&found, function, __ATOMIC_RELEASE);
  if (function == NULL && __atomic_exchange_n(&is_said, 1, __ATOMIC_ACQ_REL) == 0) {
    signcclNcclSay("SIGNCCL_RULES is set, and " BACK " cannot be loaded: %s. All-reduces return ncclSystemError", said);
  }
  return function;
}

void* signcclNcclWrapper(const char* name) {
  static SigncclNcclFront front = {.interface = SIGNCCL_NCCL_INTERFACE, .find = signcclNcclFind};
  if (!isWrapped(name)) return NULL;
  const RealLibrary* const real = signcclNcclRealLibrary();
  __atomic_store_n(&front.real_reason, real->reason, __ATOMIC_RELAXED);
  __atomic_store_n(&front.real_file, real->file, __ATOMIC_RELEASE);
  const SigncclNcclBackFunction back = backFunction();
  if (back != NULL) return back(&front, name);
  const int is_collective = strncmp(name, "ncclAllReduce", strlen("ncclAllReduce")) == 0;
  return is_collective ? (void*)withoutBack : NULL;
}
