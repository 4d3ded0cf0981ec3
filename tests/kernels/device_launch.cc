// SPDX-License-Identifier: Apache-2.0
#include "device_launch.h"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <stdexcept>

#include "base/error.h"
#include "device/driver_error.h"
#include "device/kernel_library.h"
#include "device/memory.h"
#include "device/stream.h"
#include "kernels/lanes/tiles.h"
#include "perf/cuda/kernel_image.h"

namespace signccl {
namespace {

constexpr std::size_t kDeviceBytes = std::size_t{512} << 20;
constexpr std::size_t kGuardBytes = 256;
constexpr std::byte kPattern{0xA5};
constexpr std::size_t kLineBytes = 64;

/// What all launches share.
struct Gpu {
  Gpu()
      : device(Device::get(0)),
        kernels(device, perf::kernelImage(), kDeviceKernelNames),
        stream(device),
        memory(device, kDeviceBytes) {}

  void toDevice(const std::vector<std::byte>& bytes) const {
    const CudaDriver& driver = device->driver();
    checkCuda(driver, driver.cuMemcpyHtoDAsync(memory.address(), bytes.data(), bytes.size(), stream.handle()),
              "cuMemcpyHtoDAsync", "of ", bytes.size(), " bytes");
  }

  void fromDevice(std::vector<std::byte>& bytes) const {
    const CudaDriver& driver = device->driver();
    checkCuda(driver, driver.cuMemcpyDtoHAsync(bytes.data(), memory.address(), bytes.size(), stream.handle()),
              "cuMemcpyDtoHAsync", "of ", bytes.size(), " bytes");
    checkCuda(driver, driver.cuStreamSynchronize(stream.handle()), "cuStreamSynchronize", "after a kernel");
  }

  std::shared_ptr<Device> device;  // shared: as Device::get() gives it
  KernelLibrary kernels;
  Stream stream;
  DeviceMemory memory;
  std::size_t nlaunches = 0;
};

std::unique_ptr<Gpu> gpu;

/// Every second launch has few blocks, whose warps walk over several tiles.
std::uint32_t blocksFor(std::size_t kernel, std::size_t ntiles) {
  const std::size_t needed = (ntiles + lanes::kBlockWarps - 1) / lanes::kBlockWarps;
  const std::uint32_t most = gpu->nlaunches++ % 2 == 0 ? gpu->kernels.residentBlocks(kernel) : 2;
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(needed, 1, most));
}

std::size_t spanWords(ConstPlanes planes, std::size_t nwords) {
  return planes.nplanes == 0 ? 0 : static_cast<std::size_t>(planes.nplanes - 1) * planes.stride + nwords;
}

}  // namespace

std::string beginDevice() {
  if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) == nullptr) return std::string("no CUDA driver: ") + dlerror();
  try {
    gpu = std::make_unique<Gpu>();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::size_t DeviceLaunch::place(const void* host, std::size_t bytes, std::size_t alignment) {
  const auto known = buffers_.find(host);
  if (known != buffers_.end() && known->second.bytes > 0) {
    if (known->second.bytes < bytes) throw std::logic_error("a buffer is given again with a larger size");
    return known->second.offset;
  }
  const std::size_t misalignment = reinterpret_cast<std::uintptr_t>(host) % kLineBytes;
  const std::size_t kept = misalignment % alignment == 0 ? misalignment : 0;
  const std::size_t offset = (before_.size() + kGuardBytes + kLineBytes - 1) / kLineBytes * kLineBytes + kept;
  before_.resize(offset + bytes + kGuardBytes, kPattern);
  if (before_.size() > kDeviceBytes) throw std::logic_error("a test needs more device memory than there is");
  buffers_[host] = {offset, bytes};
  return offset;
}

const void* DeviceLaunch::addInput(const void* host, std::size_t bytes, std::size_t alignment) {
  if (host == nullptr) return nullptr;
  const std::size_t offset = place(host, bytes, alignment);
  if (bytes > 0) std::memcpy(before_.data() + offset, host, bytes);
  return static_cast<const std::byte*>(gpu->memory.pointer()) + offset;
}

void* DeviceLaunch::addOutput(void* host, std::size_t bytes, std::size_t alignment) {
  if (host == nullptr) return nullptr;
  const std::size_t offset = place(host, bytes, alignment);
  outputs_.push_back({static_cast<std::byte*>(host), offset, bytes});
  return static_cast<std::byte*>(gpu->memory.pointer()) + offset;
}

ConstPlanes DeviceLaunch::in(ConstPlanes planes, std::size_t nwords) {
  planes.words = in(planes.words, spanWords(planes, nwords) * sizeof(Word));
  return planes;
}

Planes DeviceLaunch::out(Planes planes, std::size_t nwords) {
  Word* const host = planes.words;
  const std::size_t span = spanWords({host, planes.stride, planes.nplanes}, nwords) * sizeof(Word);
  const std::size_t offset = place(host, span, alignof(Word));
  planes.words = reinterpret_cast<Word*>(static_cast<std::byte*>(gpu->memory.pointer()) + offset);
  for (int j = 0; j < planes.nplanes; ++j) {
    const std::size_t first = static_cast<std::size_t>(j) * planes.stride;
    outputs_.push_back(
        {reinterpret_cast<std::byte*>(host + first), offset + first * sizeof(Word), nwords * sizeof(Word)});
  }
  return planes;
}

void DeviceLaunch::launch(DeviceKernel kernel, const void* arguments, std::size_t argument_bytes, std::size_t ntiles) {
  const ContextScope scope(*gpu->device);
  const auto number = static_cast<std::size_t>(kernel);
  gpu->toDevice(before_);
  gpu->kernels.launch({number, blocksFor(number, ntiles), arguments, argument_bytes, gpu->stream.handle()});
  std::vector<std::byte> after(before_.size());
  gpu->fromDevice(after);
  takeOutputs(after, kernel);
}

void DeviceLaunch::takeOutputs(const std::vector<std::byte>& after, DeviceKernel kernel) {
  for (const Output& output : outputs_) {
    if (output.bytes == 0) continue;
    std::memcpy(output.host, after.data() + output.offset, output.bytes);
    std::memcpy(before_.data() + output.offset, after.data() + output.offset, output.bytes);
  }
  if (before_ == after) return;
  const auto first = std::ranges::mismatch(before_, after).in1 - before_.begin();
  throw std::logic_error(std::string(kDeviceKernelNames[static_cast<std::size_t>(kernel)]) +
                         " has written beyond its outputs, at byte " + std::to_string(first) + " of the test's memory");
}

}  // namespace signccl
