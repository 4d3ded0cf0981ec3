/* SPDX-License-Identifier: Apache-2.0 */
#include "mpi/front/next.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

static int startsWith(const char* text, const char* prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

/* Whether `path` names a library of an MPI whose file name starts with one of `prefixes`, such as libmpi.so.40. */
static int hasName(const char* path, const char* const* prefixes) {
  const char* slash = strrchr(path, '/');
  const char* name = slash != NULL ? slash + 1 : path;
  for (; *prefixes != NULL; ++prefixes) {
    if (startsWith(name, *prefixes)) return 1;
  }
  return 0;
}

/* Looks for the library number `index` among those that the process has mapped under one of the names. */
typedef struct {
  const char* const* prefixes;
  int index;
  char path[PATH_MAX];
} Search;

static int visitMapped(struct dl_phdr_info* info, size_t size, void* context) {
  Search* search = context;
  const char* path = info->dlpi_name;
  (void)size;
  if (path == NULL || strlen(path) >= PATH_MAX || !hasName(path, search->prefixes)) return 0;
  if (search->index-- > 0) return 0;
  memcpy(search->path, path, strlen(path) + 1);
  return 1;
}

/* Opens that library with `flags`; null if there are not so many. Nothing is loaded that is not there. The handle need
   not be closed: an MPI is never unloaded. */
static void* openMapped(const char* const* prefixes, int index, int flags) {
  Search search;
  search.prefixes = prefixes;
  search.index = index;
  if (dl_iterate_phdr(visitMapped, &search) == 0) return NULL;
  return dlopen(search.path, RTLD_LAZY | RTLD_NOLOAD | flags);
}

void* signcclMpiFindNext(const char* name) {
  /* RTLD_NEXT does not find an MPI that was loaded for one module alone, as Python does it. */
  static const char* const kPrefixes[] = {"libmpi.so", "libmpich.so", "libmpi_", "libmpichf", NULL};
  void* found = dlsym(RTLD_NEXT, name);
  void* library;
  int i;
  for (i = 0; found == NULL && (library = openMapped(kPrefixes, i, RTLD_LOCAL)) != NULL; ++i)
    found = dlsym(library, name);
  return found;
}

void* signcclMpiNextOnce(void** slot, const char* name) {
  void* found = __atomic_load_n(slot, __ATOMIC_RELAXED);
  if (found == NULL) {
    found = signcclMpiFindNext(name);
    __atomic_store_n(slot, found, __ATOMIC_RELAXED);
  }
  return found;
}

const char* signcclMpiChooseBack(void) {
  /* The names that all MPIs with the binary interface of MPICH share. */
  static const char* const kMpich[] = {"libmpi.so.12", "libmpich.so.12", NULL};
  if (signcclMpiFindNext("ompi_mpi_comm_world") != NULL) return "libsignccl_mpi_openmpi.so";
  if (openMapped(kMpich, 0, RTLD_LOCAL) != NULL) return "libsignccl_mpi_mpich.so";
  return NULL;
}

void signcclMpiShowLibrary(void) {
  static const char* const kPrefixes[] = {"libmpi.so", "libmpich.so", NULL};
  int i;
  for (i = 0; openMapped(kPrefixes, i, RTLD_GLOBAL) != NULL; ++i) continue;
}
