// SPDX-License-Identifier: Apache-2.0
#include "mpi/back/device_memory.h"

#include <atomic>
#include <cstdint>
#include <dlfcn.h>

namespace signccl::mpi {
namespace {

// cuPointerGetAttribute() of cuda.h.
using PointerGetAttribute = int (*)(void* data, int attribute, std::uintptr_t pointer);
constexpr int kMemoryType = 2;         // CU_POINTER_ATTRIBUTE_MEMORY_TYPE
constexpr unsigned kDeviceMemory = 2;  // CU_MEMORYTYPE_DEVICE

// Null while the driver is not loaded, which may happen at any time.
PointerGetAttribute findQuery() {
  static std::atomic<PointerGetAttribute> query = nullptr;
  if (PointerGetAttribute known = query.load(std::memory_order_relaxed)) return known;
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
  if (driver == nullptr) return nullptr;
  const auto found = reinterpret_cast<PointerGetAttribute>(dlsym(driver, "cuPointerGetAttribute"));
  query.store(found, std::memory_order_relaxed);
  return found;
}

}  // namespace

bool isDeviceMemory(const void* address) {
  const PointerGetAttribute query = findQuery();
  if (query == nullptr) return false;
  unsigned type = 0;
  return query(&type, kMemoryType, reinterpret_cast<std::uintptr_t>(address)) == 0 && type == kDeviceMemory;
}

}  // namespace signccl::mpi
