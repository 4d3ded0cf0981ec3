// SPDX-License-Identifier: Apache-2.0
#include "device/driver.h"

#include <atomic>
#include <ctime>
#include <dlfcn.h>
#include <limits>
#include <link.h>
#include <memory>

#include "base/error.h"
#include "base/log.h"

namespace signccl {
namespace {

constexpr const char* kLibrary = "libcuda.so.1";

std::atomic<const CudaDriver*> found{nullptr};

/// How often libraries had been loaded when none of them was the driver.
std::atomic<unsigned long long> fruitless_adds{0};

/// Ticks of the kernel's clock, in ns, which takes no lock and a few ns to read.
std::int64_t currentTick() noexcept {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// When mayHaveDeviceMemory() last looked and found none.
std::atomic<std::int64_t> fruitless_tick{std::numeric_limits<std::int64_t>::min()};

int noteAdds(dl_phdr_info* info, std::size_t /*size*/, void* adds) noexcept {
  *static_cast<unsigned long long*>(adds) = info->dlpi_adds;
  return 1;
}

/// How often libraries have been loaded. To search for one that is not there takes a thousand times as long.
unsigned long long loadedLibraries() noexcept {
  unsigned long long adds = 0;
  dl_iterate_phdr(noteAdds, &adds);
  return adds;
}

std::string fileOf(void* library) {
  link_map* map = nullptr;
  return dlinfo(library, RTLD_DI_LINKMAP, static_cast<void*>(&map)) == 0 ? map->l_name : kLibrary;
}

template <typename Function>
void find(void* library, const char* symbol, Function& function, const char*& missing) {
  function = reinterpret_cast<Function>(dlsym(library, symbol));
  if (function == nullptr && missing == nullptr) missing = symbol;
}

/// Makes `library` the driver of the process, unless another thread was first.
const CudaDriver* keep(void* library) {
  auto fresh = std::make_unique<const CudaDriver>(cudaDriverOf(library));
  const CudaDriver* first = nullptr;
  if (!found.compare_exchange_strong(first, fresh.get(), std::memory_order_acq_rel)) return first;
  const CudaDriver* const driver = fresh.release();
  log(LogLevel::kInfo, Subsystem::kInit, kNoRank, "CUDA driver ", driver->file, " for CUDA up to ",
      cudaVersionText(driver->version));
  return driver;
}

}  // namespace

void CudaDriver::requireAll() const {
  if (missing == nullptr) return;
  throw Error(signcclSystemError, file + " is the driver of CUDA " + cudaVersionText(version) + " and has no " +
                                      missing + "; expected the driver of CUDA " + cudaVersionText(kOldestCudaDriver) +
                                      " or newer");
}

const CudaDriver* loadedCudaDriver() {
  if (const CudaDriver* const driver = found.load(std::memory_order_acquire)) return driver;
  const unsigned long long adds = loadedLibraries();
  if (adds == fruitless_adds.load(std::memory_order_relaxed)) return nullptr;
  if (void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD)) return keep(library);
  fruitless_adds.store(adds, std::memory_order_relaxed);
  return nullptr;
}

bool mayHaveDeviceMemory() {
  if (found.load(std::memory_order_relaxed) != nullptr) return true;
  const std::int64_t tick = currentTick();
  if (tick == fruitless_tick.load(std::memory_order_relaxed)) return false;
  if (loadedCudaDriver() != nullptr) return true;
  fruitless_tick.store(tick, std::memory_order_relaxed);
  return false;
}

const CudaDriver& requiredCudaDriver(const char* what) {
  const CudaDriver* const driver = loadedCudaDriver();
  if (driver == nullptr) {
    throw Error(signcclInvalidArgument, std::string(what) +
                                            " needs a CUDA driver, and this process has none: libcuda.so.1 is not "
                                            "loaded, which CUDA's runtime and PyTorch do when they are first used");
  }
  driver->requireAll();
  return *driver;
}

std::string cudaVersionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

CudaDriver cudaDriverOf(void* library) {
  CudaDriver driver;
  driver.file = fileOf(library);
#define SIGNCCL_FIND(name, symbol, parameters) find(library, #symbol, driver.name, driver.missing);
  SIGNCCL_CUDA_FUNCTIONS(SIGNCCL_FIND)
#undef SIGNCCL_FIND
  if (driver.cuDriverGetVersion != nullptr) driver.cuDriverGetVersion(&driver.version);
  return driver;
}

}  // namespace signccl
