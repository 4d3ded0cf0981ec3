// SPDX-License-Identifier: Apache-2.0
/* The one function of libsignccl_cuda.so, which holds the kernels of a GPU as data. Plain C, for the library itself. */
#ifndef SIGNCCL_KERNELS_DEVICE_IMAGE_H_
#define SIGNCCL_KERNELS_DEVICE_IMAGE_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SIGNCCL_CUDA_IMAGE_FUNCTION "signcclCudaImage"

/**
 * Gives the kernels as a fatbin for cuLibraryLoadData(). It stays where it is until the process ends.
 *
 * version: SIGNCCL_VERSION_CODE of the caller. Names and arguments of kernels change from version to version, so the
 *          image is given to its own version only.
 * image, bytes: where the address and the size of the image are written; NULL and 0 for another version.
 *
 * Returns SIGNCCL_VERSION_CODE of the image. Any thread may call this.
 */
int signcclCudaImage(int version, const void** image, size_t* bytes);

#ifdef __cplusplus
}
#endif

#endif /* SIGNCCL_KERNELS_DEVICE_IMAGE_H_ */
