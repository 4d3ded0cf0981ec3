#include "stream/stream_device.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/fork.h"
#include "base/log.h"
#include "device/driver_error.h"
#include "device/memory.h"
#include "kernels/lanes/group.h"

namespace signccl {
namespace {

/// How long the first memory operation of a device may take.
constexpr std::chrono::seconds kLongestProbe{1};
constexpr std::chrono::microseconds kProbeStep{50};

/// What a stream and the host write in a probe.
struct ProbeWords {
  std::atomic<std::uint32_t> written = 0;
  std::atomic<std::uint32_t> awaited = 0;
};

/// Ends the wait of a stream, however a probe ends: nothing of it can be freed before.
class WaitEnder {
 public:
  explicit WaitEnder(std::atomic<std::uint32_t>& awaited) : awaited_(awaited) {}
  ~WaitEnder() { endWait(); }
  WaitEnder(const WaitEnder&) = delete;
  WaitEnder& operator=(const WaitEnder&) = delete;
  void endWait() { awaited_.store(1, std::memory_order_release); }

 private:
  std::atomic<std::uint32_t>& awaited_;
};

/// A stream for the time of a probe.
class ProbeStream {
 public:
  explicit ProbeStream(const Device& device) : driver_(device.driver()) {
    checkCuda(driver_, driver_.cuStreamCreateWithPriority(&stream_, kCudaStreamNonBlocking, 0),
              "cuStreamCreateWithPriority", "on ", device);
  }
  ~ProbeStream() { driver_.cuStreamDestroy(stream_); }
  ProbeStream(const ProbeStream&) = delete;
  ProbeStream& operator=(const ProbeStream&) = delete;
  [[nodiscard]] CudaStream get() const { return stream_; }

 private:
  const CudaDriver& driver_;
  CudaStream stream_ = nullptr;
};

template <typename Done>
bool comesTrue(const Done& done) {
  const auto end = std::chrono::steady_clock::now() + kLongestProbe;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(kProbeStep);
  }
  return true;
}

struct Devices {
  std::mutex mutex;
  std::map<int, std::weak_ptr<StreamDevice>> by_ordinal;
};

PerProcess<Devices>& devices() {
  static PerProcess<Devices> devices;
  return devices;
}

}  // namespace

std::shared_ptr<StreamDevice> StreamDevice::get(int ordinal, const DeviceOptions& options) {
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
      words_(options.words.value_or(StreamWords::kMemoryOperations)) {
  if (words_ == StreamWords::kMemoryOperations) {
    try {
      tryMemoryOperations();
    } catch (const Error& error) {
      if (options.words) throw;
      words_ = StreamWords::kKernels;
      log(LogLevel::kWarn, Subsystem::kInit, kNoRank, "streams of ", device_->text(),
          " wait by kernels, which keep a multiprocessor busy: ", error.what());
    }
  }
  log(LogLevel::kInfo, Subsystem::kInit, kNoRank, device_->text(), " of compute capability ",
      device_->facts().capability(), ": streams wait by ",
      words_ == StreamWords::kKernels ? "kernels" : "memory operations");
}

void StreamDevice::keepUntil(CudaEvent event, std::vector<std::shared_ptr<const void>> memory) {
  const std::lock_guard lock(mutex_);
  kept_.push_back({event, std::move(memory)});
  self_ = shared_from_this();
}

void StreamDevice::freeUnused() {
  std::vector<Kept> unused;
  std::shared_ptr<StreamDevice> self;  // goes last
  const ContextScope scope(*device_);
  {
    const std::lock_guard lock(mutex_);
    const auto first =
        std::ranges::partition(kept_, [&](const Kept& kept) {
          const bool has_come = device_->driver().cuEventQuery(kept.event) != CudaResult::kNotReady;
          return !has_come || std::ranges::any_of(kept.memory, [](const auto& one) { return one.use_count() > 1; });
        }).begin();
    std::move(first, kept_.end(), std::back_inserter(unused));
    kept_.erase(first, kept_.end());
    if (kept_.empty()) self = std::move(self_);
  }
  for (const Kept& kept : unused) device_->driver().cuEventDestroy(kept.event);
}

void StreamDevice::launchBytes(DeviceKernel kernel, const void* arguments, std::size_t bytes, std::size_t ntiles,
                               CudaStream stream) const {
  const auto number = static_cast<std::size_t>(kernel);
  const std::size_t needed = (ntiles + lanes::kBlockWarps - 1) / lanes::kBlockWarps;
  const std::size_t blocks = std::clamp<std::size_t>(needed, 1, kernels_.residentBlocks(number));
  kernels_.launch({number, static_cast<std::uint32_t>(blocks), arguments, bytes, stream});
}

void StreamDevice::enqueueOperation(CudaMemoryOperation operation, CudaStream stream, CudaDevicePointer word,
                                    std::uint32_t value, const char* what) const {
  CudaMemoryOperationParams params{};
  params.operation = operation;
  params.address = word;
  params.value = value;
  params.flags = operation == CudaMemoryOperation::kWaitValue32 ? kCudaWaitGeq : 0;
  const CudaDriver& driver = device_->driver();
  checkCuda(driver, driver.cuStreamBatchMemOp(stream, 1, &params, 0), "cuStreamBatchMemOp", what, " on ", *device_);
}

void StreamDevice::enqueueWrite(CudaStream stream, CudaDevicePointer word, std::uint32_t value) const {
  if (words_ == StreamWords::kMemoryOperations) {
    enqueueOperation(CudaMemoryOperation::kWriteValue32, stream, word, value, "of a write");
  } else {
    launch(DeviceKernel::write_word, WordArguments{reinterpret_cast<std::uint32_t*>(word), value}, 1, stream);
  }
}

void StreamDevice::enqueueWait(CudaStream stream, CudaDevicePointer word, std::uint32_t value) const {
  if (words_ == StreamWords::kMemoryOperations) {
    enqueueOperation(CudaMemoryOperation::kWaitValue32, stream, word, value, "of a wait");
  } else {
    launch(DeviceKernel::wait_word, WordArguments{reinterpret_cast<std::uint32_t*>(word), value}, 1, stream);
  }
}

/// A stream writes a word that the host sees, and waits for one that the host writes. It is tried, since nothing that a
/// driver says of it is reliable.
void StreamDevice::tryMemoryOperations() const {
  const ContextScope scope(*device_);
  const PinnedMemory memory(device_, sizeof(ProbeWords));
  auto& words = *new (memory.host()) ProbeWords;
  const CudaDevicePointer written = memory.address() + offsetof(ProbeWords, written);
  const CudaDevicePointer awaited = memory.address() + offsetof(ProbeWords, awaited);
  const ProbeStream stream(*device_);
  WaitEnder ender(words.awaited);
  enqueueOperation(CudaMemoryOperation::kWriteValue32, stream.get(), written, 1, "of a write");
  enqueueOperation(CudaMemoryOperation::kWaitValue32, stream.get(), awaited, 1, "of a wait");
  enqueueOperation(CudaMemoryOperation::kWriteValue32, stream.get(), written, 2, "of a write");
  const bool is_written = comesTrue([&] { return words.written.load(std::memory_order_acquire) >= 1; });
  const bool waits = words.written.load(std::memory_order_acquire) == 1;
  ender.endWait();
  const bool goes_on = comesTrue([&] { return words.written.load(std::memory_order_acquire) == 2; });
  if (is_written && waits && goes_on) return;
  throw Error(signcclUnhandledCudaError, std::string("a stream of ") + device_->text() + " " +
                                             (!is_written ? "wrote no word for 1 s"
                                              : !waits    ? "did not wait for a word"
                                                          : "did not see a word of the host for 1 s"));
}

}  // namespace signccl
