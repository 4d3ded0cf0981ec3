/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the real libnccl.so.2. The loader cannot be asked by name: it answers with the stand-in, which has that name.
 * So candidates are opened by their full paths, in this order:
 *   1. what SIGNCCL_NCCL_LIBRARY names, a file or its folder; if that is set, nothing else is tried
 *   2. another libnccl.so that is mapped already
 *   3. the places where the loader would have looked for each mapped object that needs libnccl.so.2
 *   4. the folders of the system
 */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front.h"

#define LIBRARY "libnccl.so.2"

/* Every stand-in has it, and no NCCL does. */
/* NOLINTNEXTLINE(readability-identifier-naming) */
__attribute__((visibility("default"))) const char signcclNcclStandIn[] = "SignCCL's stand-in for NCCL";

static const char* const system_folders[] = {
#if defined(__x86_64__)
    "/usr/lib/x86_64-linux-gnu",
    "/lib/x86_64-linux-gnu",
#elif defined(__aarch64__)
    "/usr/lib/aarch64-linux-gnu",
    "/lib/aarch64-linux-gnu",
#endif
    "/usr/local/lib",
    "/usr/local/cuda/lib64",
    "/usr/lib64",
    "/lib64",
    "/usr/lib",
    "/opt/nccl/lib",
};

static int isThisFile(const char* path) {
  Dl_info own;
  struct stat of_own;
  struct stat of_path;
  if (dladdr((const void*)signcclNcclStandIn, &own) == 0 || stat(own.dli_fname, &of_own) != 0) return 0;
  return stat(path, &of_path) == 0 && of_path.st_dev == of_own.st_dev && of_path.st_ino == of_own.st_ino;
}

/* Opens a candidate. A file that cannot be opened, and one that is a stand-in too, is none. */
static int take(RealLibrary* real, const char* path, const char* reason, const char* about) {
  struct stat of_path;
  if (stat(path, &of_path) != 0 || isThisFile(path)) return 0;
  /* Without RTLD_DEEPBIND: with it, allocators that programs preload, and AddressSanitizer's, would be bypassed. */
  /* NOLINTNEXTLINE(clang-analyzer-optin.taint.GenericTaint): the user of the process names it */
  void* const handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == NULL || dlsym(handle, "signcclNcclStandIn") != NULL) return 0;
  real->handle = handle;
  snprintf(real->file, sizeof(real->file), "%s", path);
  snprintf(real->reason, sizeof(real->reason), "%s%.180s", reason, about);
  return 1;
}

static int takeIn(RealLibrary* real, const char* folder, const char* reason, const char* about) {
  char path[sizeof(real->file)];
  const int length = snprintf(path, sizeof(path), "%s/" LIBRARY, folder);
  return length > 0 && (size_t)length < sizeof(path) && take(real, path, reason, about);
}

static void takeNamed(RealLibrary* real, const char* named) {
  const char* const reason = "SIGNCCL_NCCL_LIBRARY names it";
  if (take(real, named, reason, "") || takeIn(real, named, reason, "")) return;
  snprintf(real->reason, sizeof(real->reason),
           "SIGNCCL_NCCL_LIBRARY=%.120s: expected the path of NVIDIA's " LIBRARY ", or of the folder that holds it",
           named);
}

static struct link_map* firstMapped(void) {
  struct link_map* map = NULL;
  void* const program = dlopen(NULL, RTLD_LAZY);
  if (program == NULL || dlinfo(program, RTLD_DI_LINKMAP, (void*)&map) != 0) return NULL;
  while (map != NULL && map->l_prev != NULL) map = map->l_prev;
  return map;
}

static int takeMapped(RealLibrary* real) {
  for (const struct link_map* map = firstMapped(); map != NULL; map = map->l_next) {
    const char* const slash = strrchr(map->l_name, '/');
    if (slash == NULL || strncmp(slash + 1, "libnccl.so", strlen("libnccl.so")) != 0) continue;
    if (take(real, map->l_name, "the process had loaded it", "")) return 1;
  }
  return 0;
}

static int needsNccl(const struct link_map* map) {
  const char* strings = NULL;
  for (const ElfW(Dyn)* entry = map->l_ld; entry != NULL && entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_STRTAB) strings = (const char*)entry->d_un.d_ptr;
  }
  /* The loader has made this an address; where it has not, as in the kernel's own object, it is none. */
  if (strings == NULL || (ElfW(Addr))strings < map->l_addr) return 0;
  for (const ElfW(Dyn)* entry = map->l_ld; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_NEEDED && strcmp(strings + entry->d_un.d_val, LIBRARY) == 0) return 1;
  }
  return 0;
}

/* Looks where the loader would have looked for an object: RPATH, LD_LIBRARY_PATH, RUNPATH, and the default folders. */
static int takeInSearchList(RealLibrary* real, void* object, const char* reason, const char* about) {
  Dl_serinfo size;
  if (dlinfo(object, RTLD_DI_SERINFOSIZE, &size) != 0) return 0;
  Dl_serinfo* const list = malloc(size.dls_size);
  if (list == NULL) return 0;
  int is_taken = 0;
  if (dlinfo(object, RTLD_DI_SERINFOSIZE, list) == 0 && dlinfo(object, RTLD_DI_SERINFO, list) == 0) {
    for (unsigned int i = 0; i < list->dls_cnt && !is_taken; ++i) {
      is_taken = takeIn(real, list->dls_serpath[i].dls_name, reason, about);
    }
  }
  free(list);
  return is_taken;
}

static int takeOfNeeder(RealLibrary* real) {
  for (const struct link_map* map = firstMapped(); map != NULL; map = map->l_next) {
    if (!needsNccl(map)) continue;
    const char* const name = map->l_name[0] == '\0' ? NULL : map->l_name;
    void* const object = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
    if (object == NULL) continue;
    const int is_taken = takeInSearchList(real, object, "in the search path of ", name == NULL ? "the program" : name);
    dlclose(object);
    if (is_taken) return 1;
  }
  return 0;
}

static int takeOfSystem(RealLibrary* real) {
  void* const program = dlopen(NULL, RTLD_LAZY);
  if (program != NULL && takeInSearchList(real, program, "in the search path of ", "the program")) return 1;
  for (size_t i = 0; i < sizeof(system_folders) / sizeof(system_folders[0]); ++i) {
    if (takeIn(real, system_folders[i], "in a folder of the system", "")) return 1;
  }
  return 0;
}

static void search(RealLibrary* real) {
  const char* const named = getenv("SIGNCCL_NCCL_LIBRARY");
  if (named != NULL && named[0] != '\0') {
    takeNamed(real, named);
  } else if (!takeMapped(real) && !takeOfNeeder(real) && !takeOfSystem(real)) {
    snprintf(real->reason, sizeof(real->reason),
             "SignCCL's stand-in for NCCL finds no real " LIBRARY ": set SIGNCCL_NCCL_LIBRARY to its path");
  }
}

const RealLibrary* signcclNcclRealLibrary(void) {
  static RealLibrary* found;
  static const RealLibrary no_memory = {.reason = "out of memory"};
  RealLibrary* real = __atomic_load_n(&found, __ATOMIC_ACQUIRE);
  if (real != NULL) return real;
  real = calloc(1, sizeof(*real));
  if (real == NULL) return &no_memory;
  search(real);
  RealLibrary* first = NULL;
  if (!__atomic_compare_exchange_n(&found, &first, real, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    free(real);
    return first;
  }
  if (real->handle == NULL) signcclNcclSay("%s", real->reason);
  return real;
}

void* signcclNcclFind(const char* name) {
  const RealLibrary* const real = signcclNcclRealLibrary();
  return real->handle == NULL ? NULL : dlsym(real->handle, name);
}
