/* SPDX-License-Identifier: Apache-2.0 */
/* Poses as a CUDA driver that lacks nearly all. */
int cuDriverGetVersion(int* version);

int cuDriverGetVersion(int* version) {
  *version = 11040;
  return 0;
}
