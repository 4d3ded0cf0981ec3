// SPDX-License-Identifier: Apache-2.0
// A CUDA device of this process, and its primary context, in which SignCCL does everything.
#ifndef SIGNCCL_DEVICE_DEVICE_H_
#define SIGNCCL_DEVICE_DEVICE_H_

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>

#include "device/driver.h"

namespace signccl {

/// What a device is.
struct DeviceFacts {
  int major = 0;  ///< of the compute capability
  int minor = 0;
  int multiprocessors = 0;
  int threads_per_multiprocessor = 0;
  bool shares_host_memory = false;  ///< integrated, or coherent with the host as on Grace: pinned memory costs nothing
  std::string name;
  std::string pci_address;  ///< domain:bus:device, as nvidia-smi has it
  std::string uuid;         ///< "GPU-" and so on, as nvidia-smi has it

  /// "9.0".
  [[nodiscard]] std::string capability() const;
};

/// A device, with its primary context retained. There is one object for each device of the process as long as anybody
/// uses it. Any thread.
class Device {
 public:
  /// The device with this ordinal. Shared among those who use it; its context is released after the last one. Throws
  /// signcclUnhandledCudaError if a call of CUDA fails, signcclInvalidUsage in a process that was forked from one that
  /// had used CUDA, and what requiredCudaDriver() throws.
  static std::shared_ptr<Device> get(int ordinal);

  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  [[nodiscard]] const CudaDriver& driver() const { return driver_; }
  [[nodiscard]] int ordinal() const { return ordinal_; }
  [[nodiscard]] CudaContext context() const { return context_; }
  [[nodiscard]] const DeviceFacts& facts() const { return facts_; }

  /// "device 0 (NVIDIA H100 80GB HBM3, 0000:3b:00)", for texts.
  [[nodiscard]] std::string text() const;
  friend std::ostream& operator<<(std::ostream& stream, const Device& device) { return stream << device.text(); }

  /// Whether this process made the object; a forked child did not and can use no CUDA.
  [[nodiscard]] bool isOfThisProcess() const noexcept;

 private:
  Device(const CudaDriver& driver, int ordinal);

  const CudaDriver& driver_;
  int ordinal_;
  std::uint8_t fork_depth_;
  CudaDevice device_ = 0;
  DeviceFacts facts_;
  CudaContext context_ = nullptr;
};

/// The device's context is current for this thread while the object lives; then the context that was current before is
/// so again. Lives in one thread; objects end in the reverse order of their making.
class ContextScope {
 public:
  /// Throws signcclInvalidUsage in a forked child, signcclUnhandledCudaError if CUDA refuses.
  explicit ContextScope(const Device& device);
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  const CudaDriver& driver_;
};

/// Runs `release`, a function of the driver that gives something of the device back, with the device's context current.
/// In a forked child, and where CUDA is already gone at the end of the process, nothing is ours to give back.
template <typename Release>
void releaseIn(const Device& device, const Release& release) noexcept {
  const CudaDriver& driver = device.driver();
  if (!device.isOfThisProcess() || driver.cuCtxPushCurrent(device.context()) != CudaResult::kSuccess) return;
  release(driver);
  CudaContext ours = nullptr;
  driver.cuCtxPopCurrent(&ours);
}

}  // namespace signccl

#endif  // SIGNCCL_DEVICE_DEVICE_H_
