// SPDX-License-Identifier: Apache-2.0
#include "kernel_bench/gpu.h"

#include <algorithm>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/driver.h"
#include "cuda/kernel_image.h"
#include "device/driver_error.h"
#include "kernels/lanes/tiles.h"

namespace signccl {
namespace {

constexpr std::size_t kStoreBytes = std::size_t{16} << 20;
constexpr std::size_t kAlignment = 256;
constexpr std::size_t kRandomBytes = std::size_t{8} << 20;

std::shared_ptr<Device> firstDevice() {
  if (perf::countGpus() == 0) throw perf::NoCuda("the driver has no device");
  return Device::get(0);
}

}  // namespace

Gpu::Gpu(std::size_t bytes)
    : device_(firstDevice()),
      scope_(*device_),
      kernels_(device_, perf::kernelImage(), kDeviceKernelNames),
      stream_(device_),
      store_(device_, kStoreBytes) {
  if (const std::size_t free_bytes = perf::freeBytes(*device_); bytes > free_bytes) {
    throw std::runtime_error("these benchmarks need " + std::to_string(bytes) + " bytes of " + device_->text() +
                             ", which has " + std::to_string(free_bytes) + " left; fewer --gpu_elements need less");
  }
  memory_ = std::make_unique<DeviceMemory>(device_, bytes);
  const CudaDriver& driver = device_->driver();
  checkCuda(driver, driver.cuEventCreate(&start_, 0), "cuEventCreate", "on ", *device_);
  checkCuda(driver, driver.cuEventCreate(&end_, 0), "cuEventCreate", "on ", *device_);
  fillRandomly();
}

Gpu::~Gpu() {
  device_->driver().cuEventDestroy(start_);
  device_->driver().cuEventDestroy(end_);
}

void Gpu::fillRandomly() const {
  std::mt19937_64 random(1);
  std::vector<Word> words(kRandomBytes / sizeof(Word));
  std::ranges::generate(words, random);
  for (std::size_t at = 0; at < bytes(); at += kRandomBytes) {
    const std::size_t piece = std::min(kRandomBytes, bytes() - at);
    if (at == 0) {
      upload(memory(), words.data(), piece);
    } else {
      copy(memory() + at, memory(), piece);
    }
  }
}

void Gpu::launch(DeviceKernel kernel, const void* arguments, std::size_t argument_bytes, std::size_t ntiles) const {
  const auto number = static_cast<std::size_t>(kernel);
  const std::size_t needed = (ntiles + lanes::kBlockWarps - 1) / lanes::kBlockWarps;
  const auto blocks = static_cast<std::uint32_t>(std::clamp<std::size_t>(needed, 1, kernels_.residentBlocks(number)));
  kernels_.launch({number, blocks, arguments, argument_bytes, stream_.handle()});
}

void Gpu::copy(CudaDevicePointer to, CudaDevicePointer from, std::size_t bytes) const {
  const CudaDriver& driver = device_->driver();
  checkCuda(driver, driver.cuMemcpyAsync(to, from, bytes, stream_.handle()), "cuMemcpyAsync", "of ", bytes,
            " bytes on ", *device_);
}

void Gpu::upload(CudaDevicePointer to, const void* from, std::size_t bytes) const {
  const CudaDriver& driver = device_->driver();
  checkCuda(driver, driver.cuMemcpyHtoDAsync(to, from, bytes, stream_.handle()), "cuMemcpyHtoDAsync", "of ", bytes,
            " bytes on ", *device_);
  checkCuda(driver, driver.cuStreamSynchronize(stream_.handle()), "cuStreamSynchronize", "on ", *device_);
}

CudaDevicePointer Gpu::store(const void* values, std::size_t bytes) {
  if (stored_bytes_ + bytes > kStoreBytes) throw std::runtime_error("the tables of a benchmark need more than 16 MiB");
  const CudaDevicePointer at = store_.address() + stored_bytes_;
  upload(at, values, bytes);
  stored_bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return at;
}

void Gpu::record(CudaEvent event) const {
  const CudaDriver& driver = device_->driver();
  checkCuda(driver, driver.cuEventRecord(event, stream_.handle()), "cuEventRecord", "on ", *device_);
}

double Gpu::secondsBetween() const {
  const CudaDriver& driver = device_->driver();
  checkCuda(driver, driver.cuStreamSynchronize(stream_.handle()), "cuStreamSynchronize", "on ", *device_);
  return static_cast<double>(perf::elapsedMs(start_, end_)) / 1e3;
}

}  // namespace signccl
