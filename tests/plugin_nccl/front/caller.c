/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that calls NCCL, as users' do: linked with it, or with the argument "open" by dlopen() and dlsym(). Prints
 * what it got, a line for each call: its result, then what it gives.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int ncclGetVersion(int* version);
int ncclCommWindowDeregister(void* comm, void* window);
const char* ncclGetErrorString(int result);
const char* ncclGetLastError(void* comm);

int main(int argc, char** argv) {
  int (*get_version)(int*) = ncclGetVersion;
  const char* (*get_error)(int) = ncclGetErrorString;
  if (argc > 1 && strcmp(argv[1], "open") == 0) {
    void* const library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
      printf("%s\n", dlerror());
      return 1;
    }
    *(void**)&get_version = dlsym(library, "ncclGetVersion");
    *(void**)&get_error = dlsym(library, "ncclGetErrorString");
    if (dlsym(library, "signcclNcclStandIn") == NULL) printf("not the stand-in\n");
  }
  int version = 0;
  const int result = get_version(&version);
  printf("version %d %d\n", result, version);
  printf("window %d\n", ncclCommWindowDeregister(NULL, NULL));
  printf("error %s\n", get_error(2));
  printf("last %s\n", ncclGetLastError(NULL));
  return 0;
}
