/* Poses as libsignccl_cuda.so. */
#include <stddef.h>

static const char image[] = "fatbin";

#ifndef WITHOUT_FUNCTION
int signcclCudaImage(const void** data, size_t* bytes);

int signcclCudaImage(const void** data, size_t* bytes) {
  *data = IMAGE_BYTES == 0 ? NULL : image;
  *bytes = IMAGE_BYTES;
  return VERSION_CODE;
}
#endif
