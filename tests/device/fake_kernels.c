/* SPDX-License-Identifier: Apache-2.0 */
/* Poses as libsignccl_cuda.so. */
#include <stddef.h>

#include "kernels/device/image.h"

static const char image[] = "fatbin";

#ifndef WITHOUT_FUNCTION
int signcclCudaImage(int version, const void** data, size_t* bytes) {
  *data = NULL;
  *bytes = 0;
  if (version == VERSION_CODE && IMAGE_BYTES > 0) {
    *data = image;
    *bytes = IMAGE_BYTES;
  }
  return VERSION_CODE;
}
#endif
