// SPDX-License-Identifier: Apache-2.0
#include "device/kernel_library.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "device/driver_error.h"

namespace signccl {
namespace {

[[noreturn]] void throwNoCode(const Device& device, const KernelImage& image, CudaResult result) {
  throw Error(signcclUnhandledCudaError, image.file + " has no code for " + device.text() + " of compute capability " +
                                             device.facts().capability() + ": " +
                                             cudaResultText(device.driver(), result) +
                                             "; build SignCCL with this architecture, or use a newer device");
}

[[noreturn]] void throwOldDriver(const Device& device, const KernelImage& image, CudaResult result) {
  throw Error(signcclUnhandledCudaError, image.file + " was built with a newer CUDA than that of the driver, " +
                                             cudaVersionText(device.driver().version) + ": " +
                                             cudaResultText(device.driver(), result) +
                                             "; update the driver, or build SignCCL with an older CUDA");
}

}  // namespace

KernelLibrary::KernelLibrary(std::shared_ptr<Device> device, const KernelImage& image,
                             std::span<const char* const> names)
    : device_(std::move(device)), names_(names) {
  const ContextScope scope(*device_);
  load(image);
  try {
    find(image);
  } catch (...) {
    device_->driver().cuLibraryUnload(library_);
    throw;
  }
}

void KernelLibrary::load(const KernelImage& image) {
  const CudaDriver& driver = device_->driver();
  const CudaResult result = driver.cuLibraryLoadData(&library_, image.data, nullptr, nullptr, 0, nullptr, nullptr, 0);
  if (result == CudaResult::kNoBinaryForGpu) throwNoCode(*device_, image, result);
  if (result == CudaResult::kUnsupportedPtxVersion) throwOldDriver(*device_, image, result);
  checkCuda(driver, result, "cuLibraryLoadData", "of ", image.file, " for ", *device_);
}

void KernelLibrary::find(const KernelImage& image) {
  const CudaDriver& driver = device_->driver();
  kernels_.reserve(names_.size());
  for (const char* const name : names_) {
    CudaKernel kernel = nullptr;
    Kernel found;
    checkCuda(driver, driver.cuLibraryGetKernel(&kernel, library_, name), "cuLibraryGetKernel", "of ", name, " in ",
              image.file);
    // Loads the kernel's code; a driver that loads lazily finds only here that it has none for the device.
    const CudaResult result = driver.cuKernelGetFunction(&found.function, kernel);
    if (result == CudaResult::kNoBinaryForGpu) throwNoCode(*device_, image, result);
    if (result == CudaResult::kUnsupportedPtxVersion) throwOldDriver(*device_, image, result);
    checkCuda(driver, result, "cuKernelGetFunction", "of ", name, " on ", *device_);
    int blocks = 0;
    checkCuda(driver, driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, found.function, kBlockThreads, 0),
              "cuOccupancyMaxActiveBlocksPerMultiprocessor", "of ", name, " on ", *device_);
    found.resident_blocks = static_cast<std::uint32_t>(std::max(1, blocks * device_->facts().multiprocessors));
    kernels_.push_back(found);
  }
}

KernelLibrary::~KernelLibrary() {
  if (device_->isOfThisProcess()) device_->driver().cuLibraryUnload(library_);
}

void KernelLibrary::launch(const KernelLaunch& launch) const {
  SIGNCCL_ASSERT(launch.blocks > 0 && launch.argument_bytes <= kMostArgumentBytes);
  const Kernel& kernel = kernels_.at(launch.kernel);
  const CudaDriver& driver = device_->driver();
  CudaLaunchConfig config{};
  config.grid[0] = launch.blocks;
  config.grid[1] = config.grid[2] = 1;
  config.block[0] = kBlockThreads;
  config.block[1] = config.block[2] = 1;
  config.stream = launch.stream;
  void* arguments = const_cast<void*>(launch.arguments);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  const ContextScope scope(*device_);
  checkCuda(driver, driver.cuLaunchKernelEx(&config, kernel.function, &arguments, nullptr), "cuLaunchKernelEx", "of ",
            names_[launch.kernel], " with ", launch.blocks, " blocks on ", *device_);
}

}  // namespace signccl
