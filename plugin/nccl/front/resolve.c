/* SPDX-License-Identifier: Apache-2.0 */
/* What the slot of a name becomes at its first call. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "front.h"

void* signcclNcclResolve(uint32_t number);
extern _Atomic(void*) signcclNcclSlots[]; /* NOLINT(readability-identifier-naming): as functions are named */

static const char* const names[] = {
#define SIGNCCL_NCCL_NAME(number, name) [number] = #name,
#include "nccl_names.inc"
#undef SIGNCCL_NCCL_NAME
};

void signcclNcclSay(const char* format, ...) {
  char line[2048] = "signccl: ";
  const size_t begin = strlen(line);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line + begin, sizeof(line) - begin - 1, format, arguments);
  va_end(arguments);
  const size_t length = strlen(line);
  line[length] = '\n';
  /* Nothing can be done about a stderr that is closed. */
  if (write(STDERR_FILENO, line, length + 1) < 0) return;
}

/* In place of functions that the real library lacks. */
static int missingFunction(void) { return SIGNCCL_NCCL_SYSTEM_ERROR; }

static const char* missingErrorString(int result) {
  if (result == 0) return "no error";
  return signcclNcclRealLibrary()->reason;
}

static const char* missingLastError(void* comm) {
  (void)comm;
  return signcclNcclRealLibrary()->reason;
}

static void* missing(const char* name) {
  const char* const plain = name[0] == 'p' ? name + 1 : name;
  if (strcmp(plain, "ncclGetErrorString") == 0) return (void*)missingErrorString;
  if (strcmp(plain, "ncclGetLastError") == 0) return (void*)missingLastError;
  const RealLibrary* const real = signcclNcclRealLibrary();
  if (real->handle != NULL) {
    signcclNcclSay("%s has no function %s, as newer versions of NCCL do; the call returns ncclSystemError", real->file,
                   name);
  }
  return (void*)missingFunction;
}

/* Called by the slow path of the entries. Several threads may resolve the same name, with the same result. */
void* signcclNcclResolve(uint32_t number) {
  const char* const name = names[number];
  void* function = signcclNcclIsActive() ? signcclNcclWrapper(name) : NULL;
  if (function == NULL) function = signcclNcclFind(name);
  if (function == NULL) function = missing(name);
  __atomic_store_n((void**)&signcclNcclSlots[number], function, __ATOMIC_RELEASE);
  return function;
}
