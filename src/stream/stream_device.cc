// SPDX-License-Identifier: Apache-2.0
#include "stream/stream_device.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "base/fork.h"
#include "base/log.h"
#include "device/capture.h"
#include "device/stream.h"
#include "kernels/lanes/group.h"

namespace signccl {
namespace {

struct Devices {
  std::mutex mutex;
  std::map<int, std::weak_ptr<StreamDevice>> by_ordinal;
};

PerProcess<Devices>& devices() {
  static PerProcess<Devices> devices;
  return devices;
}

StreamWords workingWords(const std::shared_ptr<Device>& device) {
  if (supportsMemoryOperations(device)) return StreamWords::kMemoryOperations;
  log(LogLevel::kWarn, Subsystem::kInit, kNoRank, "streams of ", *device,
      " have no memory operations: they wait by kernels, which keep a multiprocessor busy");
  return StreamWords::kKernels;
}

}  // namespace

std::shared_ptr<StreamDevice> StreamDevice::get(int ordinal, const DeviceOptions& options) {
  const RelaxedCapture relaxed(requiredCudaDriver("device memory"));
  Devices& all = devices().get();
  const std::lock_guard lock(all.mutex);
  std::weak_ptr<StreamDevice>& known = all.by_ordinal[ordinal];
  if (std::shared_ptr<StreamDevice> device = known.lock()) return device;
  auto device = std::make_shared<StreamDevice>(Device::get(ordinal), options);
  known = device;
  return device;
}

StreamDevice::StreamDevice(std::shared_ptr<Device> device, const DeviceOptions& options)
    : device_(std::move(device)),
      kernels_(device_, loadKernelImage(options.kernel_file), kDeviceKernelNames),
      words_(options.words ? *options.words : workingWords(device_)) {
  log(LogLevel::kInfo, Subsystem::kInit, kNoRank, *device_, " of compute capability ", device_->facts().capability(),
      ": streams wait by ", words_ == StreamWords::kKernels ? "kernels" : "memory operations");
}

void StreamDevice::keepUntil(std::vector<CudaEvent> events, std::vector<std::shared_ptr<const void>> memory) {
  const std::lock_guard lock(mutex_);
  kept_.push_back({std::move(events), std::move(memory)});
  self_ = shared_from_this();
}

void StreamDevice::freeUnused() {
  // All is freed in relaxed mode. This object may go with `self`, so nothing after that uses it.
  const RelaxedCapture relaxed(device_->driver());
  std::shared_ptr<StreamDevice> self;
  const ContextScope scope(*device_);
  std::vector<Kept> unused;
  {
    const std::lock_guard lock(mutex_);
    const auto first = std::partition(kept_.begin(), kept_.end(), [&](const Kept& kept) {
      const bool have_come = std::ranges::all_of(
          kept.events, [&](CudaEvent event) { return device_->driver().cuEventQuery(event) != CudaResult::kNotReady; });
      return !have_come || std::ranges::any_of(kept.memory, [](const auto& one) { return one.use_count() > 1; });
    });
    std::move(first, kept_.end(), std::back_inserter(unused));
    kept_.erase(first, kept_.end());
    if (kept_.empty()) self = std::move(self_);
  }
  for (const Kept& kept : unused) {
    for (const CudaEvent event : kept.events) device_->driver().cuEventDestroy(event);
  }
}

void StreamDevice::launchBytes(DeviceKernel kernel, const void* arguments, std::size_t bytes, std::size_t ntiles,
                               CudaStream stream) const {
  const auto number = static_cast<std::size_t>(kernel);
  const std::size_t needed = (ntiles + lanes::kBlockWarps - 1) / lanes::kBlockWarps;
  const std::size_t blocks = std::clamp<std::size_t>(needed, 1, kernels_.residentBlocks(number));
  kernels_.launch({number, static_cast<std::uint32_t>(blocks), arguments, bytes, stream});
}

void StreamDevice::enqueueWrite(CudaStream stream, CudaDevicePointer word, std::uint32_t value) const {
  if (words_ == StreamWords::kMemoryOperations) {
    CudaMemoryOperationParams operation[] = {writeValue(word, value)};
    enqueueMemoryOperations(*device_, stream, operation);
  } else {
    launch(DeviceKernel::write_word, WordArguments{reinterpret_cast<std::uint32_t*>(word), value}, 1, stream);
  }
}

void StreamDevice::enqueueWait(CudaStream stream, CudaDevicePointer word, std::uint32_t value) const {
  if (words_ == StreamWords::kMemoryOperations) {
    CudaMemoryOperationParams operation[] = {waitUntilReached(word, value)};
    enqueueMemoryOperations(*device_, stream, operation);
  } else {
    launch(DeviceKernel::wait_word, WordArguments{reinterpret_cast<std::uint32_t*>(word), value}, 1, stream);
  }
}

void StreamDevice::enqueueWaitAndWrite(CudaStream stream, CudaDevicePointer word, std::uint32_t value,
                                       std::uint32_t after) const {
  if (words_ == StreamWords::kMemoryOperations) {
    CudaMemoryOperationParams operations[] = {waitUntilReached(word, value), writeValue(word, after)};
    enqueueMemoryOperations(*device_, stream, operations);
  } else {
    enqueueWait(stream, word, value);
    enqueueWrite(stream, word, after);
  }
}

}  // namespace signccl
