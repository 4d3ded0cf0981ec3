/* SPDX-License-Identifier: Apache-2.0 */
/* What libsignccl_cuda.so exports. */
#include "kernels/device/image.h"

#include <stdint.h>

#include "signccl/version.h"

/* Of image_data.S. */
extern const char signccl_cuda_image[];
extern const uint64_t signccl_cuda_image_bytes;

__attribute__((visibility("default"))) int signcclCudaImage(int version, const void** image, size_t* bytes) {
  const int matches = version == SIGNCCL_VERSION_CODE;
  *image = matches ? signccl_cuda_image : NULL;
  *bytes = matches ? (size_t)signccl_cuda_image_bytes : 0;
  return SIGNCCL_VERSION_CODE;
}
