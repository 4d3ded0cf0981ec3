/* SPDX-License-Identifier: Apache-2.0 */
// A library that poses as NCCL of the version VERSION_CODE, with one function.
int ncclGetVersion(int* version) {
  *version = VERSION_CODE;
  return 0;
}
