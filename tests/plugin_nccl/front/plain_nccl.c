/* SPDX-License-Identifier: Apache-2.0 */
/* An old NCCL, which has few functions. */
#define EXPORT __attribute__((visibility("default")))

EXPORT int ncclGetVersion(int* version);
EXPORT const char* ncclGetErrorString(int result);
EXPORT const char* ncclGetLastError(void* comm);

int ncclGetVersion(int* version) {
  *version = VERSION_CODE;
  return 0;
}

const char* ncclGetErrorString(int result) { return result == 0 ? "no error" : "an error of the old library"; }

const char* ncclGetLastError(void* comm) {
  (void)comm;
  return "the last error of the old library";
}
