/* Poses as libsignccl_cuda.so. */
#include <stddef.h>

#include "kernels/device/image.h"

static const char image[] = "fatbin";

#ifndef WITHOUT_FUNCTION
int signcclCudaImage(int version, const void** data, size_t* bytes) {
  const int has_image = version == VERSION_CODE && IMAGE_BYTES > 0;
  *data = has_image ? image : NULL;
  *bytes = has_image ? IMAGE_BYTES : 0;
  return VERSION_CODE;
}
#endif
