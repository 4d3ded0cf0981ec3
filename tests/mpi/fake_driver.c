/* SPDX-License-Identifier: Apache-2.0 */
/* The one function of CUDA's driver that the preload library asks, with the SONAME of the driver: a part of the host's
   memory, which the test names, poses as that of a GPU. */
#include <stddef.h>
#include <stdint.h>

static uintptr_t device_memory;
static size_t device_bytes;

void setDeviceMemory(void* begin, size_t bytes) {
  device_memory = (uintptr_t)begin;
  device_bytes = bytes;
}

int cuPointerGetAttribute(void* data, int attribute, uintptr_t pointer) {
  if (attribute != 2 || pointer - device_memory >= device_bytes) return 1; /* CUDA_ERROR_INVALID_VALUE */
  *(unsigned*)data = 2;                                                    /* CU_MEMORYTYPE_DEVICE */
  return 0;
}
