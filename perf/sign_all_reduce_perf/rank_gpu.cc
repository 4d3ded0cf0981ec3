// SPDX-License-Identifier: Apache-2.0
#include "sign_all_reduce_perf/rank_gpu.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "device/driver_error.h"

namespace signccl::perf {
namespace {

/// Device memory, with as much pinned memory in which the host writes inputs and reads results.
class GpuMemory final : public ElementMemory {
 public:
  GpuMemory(std::shared_ptr<Device> device, std::size_t bytes)
      : device_(std::move(device)), stream_(device_), memory_(device_, bytes), mirror_(device_, bytes) {
    std::memset(mirror_.host(), 0, bytes);
    copy(memory_.address(), mirror_.address(), bytes);
  }

  [[nodiscard]] std::byte* address() const override { return static_cast<std::byte*>(memory_.pointer()); }
  [[nodiscard]] std::byte* host() const override { return mirror_.host(); }

  void publish(std::size_t offset, std::size_t bytes) override {
    copy(memory_.address() + offset, mirror_.address() + offset, bytes);
  }
  void fetch(std::size_t offset, std::size_t bytes) override {
    copy(mirror_.address() + offset, memory_.address() + offset, bytes);
  }

 private:
  void copy(CudaDevicePointer to, CudaDevicePointer from, std::size_t bytes) {
    if (bytes == 0) return;
    const ContextScope scope(*device_);
    const CudaDriver& driver = device_->driver();
    checkCuda(driver, driver.cuMemcpyAsync(to, from, bytes, stream_.handle()), "cuMemcpyAsync", "of ", bytes,
              " bytes on ", *device_);
    checkCuda(driver, driver.cuStreamSynchronize(stream_.handle()), "cuStreamSynchronize", "on ", *device_);
  }

  std::shared_ptr<Device> device_;  // shared: its context must outlive the memory
  Stream stream_;
  DeviceMemory memory_;
  PinnedMemory mirror_;
};

}  // namespace

RankGpu::RankGpu(int ordinal) : device_(Device::get(ordinal)), scope_(*device_), stream_(device_) {}

void RankGpu::synchronize() const {
  const CudaDriver& driver = device_->driver();
  checkCuda(driver, driver.cuStreamSynchronize(stream_.handle()), "cuStreamSynchronize", "on ", *device_);
}

std::unique_ptr<ElementMemory> RankGpu::allocate(std::size_t bytes) const {
  return std::make_unique<GpuMemory>(device_, std::max<std::size_t>(bytes, 1));
}

}  // namespace signccl::perf
